import { Button, Code, Input, List, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useEffect } from "react";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { usePlanRollback, useRollBack } from "../api/queries";
import type { Tenant } from "../api/schemas";
import { reasonText } from "../lib/draft";
import { FormField } from "./form-field";
import { Loading } from "./loading";
import { Modal } from "./modal";
import { ProblemAlert } from "./problem-alert";

/** The form's rules: the slug must be typed exactly. */
export function rollbackSchema(slug: string) {
  return z.object({
    slug: z.string().refine((typed) => typed === slug, `Type ${slug} exactly.`),
    reason: reasonText,
  });
}

interface RollbackDialogProps {
  tenant: Tenant;
  onClose: () => void;
}

/** Says what a rollback would do, then does it when the slug has been typed. */
export function RollbackDialog({ tenant, onClose }: RollbackDialogProps) {
  const { mutate: askPlan, ...plan } = usePlanRollback(tenant.id);
  const rollback = useRollBack(tenant.id);
  const form = useForm({
    resolver: zodResolver(rollbackSchema(tenant.slug)),
    defaultValues: { slug: "", reason: "" },
  });
  useEffect(() => askPlan(), [askPlan]);
  const again = () => {
    rollback.reset();
    askPlan();
  };
  const submit = form.handleSubmit(({ reason }) => {
    if (plan.data) rollback.mutate({ confirm: plan.data.confirm, reason }, { onSuccess: onClose });
  });
  const { errors } = form.formState;
  return (
    <Modal
      title={`Roll back ${tenant.slug}`}
      open
      alert
      onClose={onClose}
      onSubmit={submit}
      footer={
        <>
          <Button variant="outline" onClick={onClose}>
            Cancel
          </Button>
          <Button type="submit" colorPalette="red" disabled={!plan.data} loading={rollback.isPending}>
            Roll back
          </Button>
        </>
      }
    >
      {plan.isPending && <Loading what="what will happen" />}
      {plan.isError && <ProblemAlert error={plan.error} onRetry={again} />}
      {plan.data && (
        <>
          <Text fontWeight="medium">This will happen:</Text>
          <List.Root ps="5" gap="1.5">
            {plan.data.effects.map((effect) => (
              <List.Item key={effect} overflowWrap="anywhere">
                {effect}
              </List.Item>
            ))}
          </List.Root>
          <FormField label="Reason" required error={errors.reason?.message}>
            <Input {...form.register("reason")} autoComplete="off" />
          </FormField>
          <FormField
            label="Slug, to confirm"
            required
            error={errors.slug?.message}
            help={
              <>
                Type <Code>{tenant.slug}</Code>.
              </>
            }
          >
            <Input {...form.register("slug")} autoComplete="off" spellCheck={false} fontFamily="mono" />
          </FormField>
        </>
      )}
      {rollback.isError && <ProblemAlert error={rollback.error} onRetry={again} />}
    </Modal>
  );
}
