import { Button, Code, Input, List, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useEffect } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { useDanger, usePlan, type Danger } from "../api/queries";
import type { RollbackPlan } from "../api/schemas";
import { reasonText } from "../lib/draft";
import { FormField } from "./form-field";
import { Loading } from "./loading";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";

/** The form's rules: the slug must be typed exactly. */
export function confirmSchema(slug: string) {
  return z.object({
    slug: z.string().refine((typed) => typed === slug, `Type ${slug} exactly.`),
    reason: reasonText,
  });
}

interface DangerDialogProps {
  slug: string;
  /** What is done, as a button says it. */
  verb: string;
  danger: Danger;
  onClose: () => void;
}

/** Says what something that cannot be taken back would do, in the control plane's words; does it once confirmed. */
export function DangerDialog({ slug, verb, danger, onClose }: DangerDialogProps) {
  const { mutate: askPlan, ...plan } = usePlan(danger);
  const deed = useDanger(danger);
  const form = useForm({
    resolver: zodResolver(confirmSchema(slug)),
    defaultValues: { slug: "", reason: "" },
  });
  useEffect(() => askPlan(), [askPlan]);
  const again = () => {
    deed.reset();
    askPlan();
  };
  const submit = form.handleSubmit(({ reason }) => {
    if (plan.data) deed.mutate({ confirm: plan.data.confirm, reason }, { onSuccess: onClose });
  });
  const { errors } = form.formState;
  return (
    <Modal
      title={`${verb} ${slug}`}
      open
      alert
      onClose={onClose}
      onSubmit={submit}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" colorPalette="red" disabled={!plan.data} loading={deed.isPending}>
            {verb}
          </Button>
        </OrCancel>
      }
    >
      {(plan.isPending || plan.isIdle) && <Loading what="what will happen" />}
      {plan.isError && <ProblemAlert error={plan.error} onRetry={again} />}
      {plan.data && (
        <>
          <Effects plan={plan.data} />
          <FormField label="Reason" required error={errors.reason?.message}>
            <Input {...form.register("reason")} autoComplete="off" />
          </FormField>
          <FormField
            label="Slug, to confirm"
            required
            error={errors.slug?.message}
            help={
              <>
                Type <Code>{slug}</Code>.
              </>
            }
          >
            <Input {...form.register("slug")} autoComplete="off" spellCheck={false} fontFamily="mono" />
          </FormField>
        </>
      )}
      {deed.isError && <ProblemAlert error={deed.error} onRetry={again} />}
    </Modal>
  );
}

function Effects({ plan }: { plan: RollbackPlan }) {
  return (
    <>
      <Text fontWeight="medium">This will happen:</Text>
      <List.Root ps="5" gap="1.5">
        {plan.effects.map((effect) => (
          <List.Item key={effect} overflowWrap="anywhere">
            {effect}
          </List.Item>
        ))}
      </List.Root>
    </>
  );
}
