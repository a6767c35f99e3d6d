import { Button, Text } from "@chakra-ui/react";
import { useState } from "react";
import { usePolicy, usePolicyMode, type Mode } from "../api/policy";
import type { Tenant } from "../api/schemas";
import { ActionButton } from "./action-button";
import { Loading } from "./loading";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

const EFFECTS: Record<Mode, string> = {
  enforce: "What the policy refuses is refused.",
  observe: "What the policy refuses is recorded, and PostgreSQL answers: only the tenant's own rights hold.",
};

/** Whether the policy is enforced for a tenant, or only tried. */
export function PolicyModeSection({ tenant }: { tenant: Tenant }) {
  const policy = usePolicy();
  const [changing, setChanging] = useState(false);
  const mode: Mode = policy.data?.observing.includes(tenant.slug) ? "observe" : "enforce";
  const other: Mode = mode === "enforce" ? "observe" : "enforce";
  return (
    <Section
      title="Policy mode"
      actions={
        policy.data && (
          <ActionButton
            action="tenant.policy-mode"
            size="xs"
            variant="outline"
            onClick={() => setChanging(true)}
          >
            {other === "observe" ? "Only observe" : "Enforce"}
          </ActionButton>
        )
      }
    >
      {policy.isPending && <Loading what="the policy" />}
      {policy.isError && <ProblemAlert error={policy.error} onRetry={() => void policy.refetch()} />}
      {policy.data && (
        <Text>
          <b>{mode}</b>: {EFFECTS[mode]}
        </Text>
      )}
      {changing && <ModeDialog tenant={tenant} mode={other} onClose={() => setChanging(false)} />}
    </Section>
  );
}

function ModeDialog({ tenant, mode, onClose }: { tenant: Tenant; mode: Mode; onClose: () => void }) {
  const change = usePolicyMode(tenant.id);
  const verb = mode === "observe" ? "Only observe" : "Enforce";
  return (
    <Modal
      title={`${verb} the policy for ${tenant.slug}`}
      open
      alert
      onClose={onClose}
      footer={
        <OrCancel onCancel={onClose}>
          <Button loading={change.isPending} onClick={() => change.mutate(mode, { onSuccess: onClose })}>
            {verb}
          </Button>
        </OrCancel>
      }
    >
      <Text>{EFFECTS[mode]}</Text>
      {change.isError && <ProblemAlert error={change.error} />}
    </Modal>
  );
}
