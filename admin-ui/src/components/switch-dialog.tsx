import { Button, Input, Text } from "@chakra-ui/react";
import { zodResolver } from "@hookform/resolvers/zod";
import { useForm } from "react-hook-form";
import { z } from "zod";
import { useSwitchTenant } from "../api/queries";
import type { Tenant } from "../api/schemas";
import { reasonText } from "../lib/draft";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";

const schema = z.object({ reason: reasonText });

const TEXTS = {
  suspend: {
    title: "Suspend",
    effect: "Its connections are ended and new ones are refused until it is resumed. Its data stays.",
  },
  resume: { title: "Resume", effect: "Its logins can connect again." },
};

interface SwitchDialogProps {
  tenant: Tenant;
  action: "suspend" | "resume";
  onClose: () => void;
}

/** Suspends or resumes a tenant, with the reason that the audit trail keeps. */
export function SwitchDialog({ tenant, action, onClose }: SwitchDialogProps) {
  const change = useSwitchTenant(tenant.id, action);
  const form = useForm({ resolver: zodResolver(schema), defaultValues: { reason: "" } });
  const submit = form.handleSubmit(({ reason }) => change.mutate(reason, { onSuccess: onClose }));
  const { title, effect } = TEXTS[action];
  return (
    <Modal
      title={`${title} ${tenant.slug}`}
      open
      onClose={onClose}
      onSubmit={submit}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" loading={change.isPending}>
            {title}
          </Button>
        </OrCancel>
      }
    >
      <Text>{effect}</Text>
      <FormField label="Reason" required error={form.formState.errors.reason?.message}>
        <Input {...form.register("reason")} autoComplete="off" />
      </FormField>
      {change.isError && <ProblemAlert error={change.error} />}
    </Modal>
  );
}
