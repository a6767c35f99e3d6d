import { Button, Flex, Input, Stack, Text } from "@chakra-ui/react";
import { useMemo, useState, type ReactNode } from "react";
import { deleteTenant, planDeletion, planRollback, rollBack, type BackMode } from "../api/endpoints";
import { useTemplates, useUndelete, type Danger } from "../api/queries";
import type { Template, Tenant } from "../api/schemas";
import { reasonText } from "../lib/draft";
import type { Action } from "../lib/rights";
import { actionsIn } from "../lib/states";
import { localTime } from "../lib/time";
import { ActionButton } from "./action-button";
import { DangerDialog } from "./danger-dialog";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

type Deed = "back" | "delete" | "purge";
const VERBS: Record<Deed, string> = { back: "Roll back", delete: "Delete", purge: "Purge" };

/** What each deed asks of the control plane. */
function dangerOf(deed: Deed, id: string): Danger {
  const mode: BackMode = "version";
  if (deed === "back") return { plan: () => planRollback(id, mode), run: (wish) => rollBack(id, mode, wish) };
  return { plan: () => planDeletion(id), run: (wish) => deleteTenant(id, wish) };
}

/** What is hard or impossible to take back. */
export function DangerZone({ tenant }: { tenant: Tenant }) {
  const [open, setOpen] = useState<Deed | "undelete" | null>(null);
  const can = actionsIn(tenant.observed_state);
  const undo = undoOf(useTemplates().data?.items, tenant);
  const danger = useMemo(
    () => (open && open !== "undelete" ? dangerOf(open, tenant.id) : null),
    [open, tenant.id],
  );
  if (!can.remove && !can.undelete) return null;
  const row = (deed: Deed | "undelete", action: Action, text: ReactNode) => (
    <Row
      action={action}
      label={deed === "undelete" ? "Undelete" : VERBS[deed]}
      text={text}
      onClick={() => setOpen(deed)}
      safe={deed === "undelete"}
    />
  );
  return (
    <Section title="Danger zone">
      <Stack gap="4">
        {can.rollBack && undo && row("back", "tenant.rollback", undo)}
        {can.remove &&
          row(
            "delete",
            "tenant.delete",
            "Ends its connections and frees its slug. Its data stays for the retention.",
          )}
        {can.undelete && row("undelete", "tenant.undelete", "Gives it back, data and all.")}
        {can.purge && row("purge", "tenant.delete", purgeText(tenant))}
      </Stack>
      {danger && open && open !== "undelete" && (
        <DangerDialog slug={tenant.slug} verb={VERBS[open]} danger={danger} onClose={() => setOpen(null)} />
      )}
      {open === "undelete" && <UndeleteDialog tenant={tenant} onClose={() => setOpen(null)} />}
    </Section>
  );
}

/** What a step back would be, where the tenant's version has an undo. */
function undoOf(templates: Template[] | undefined, tenant: Tenant): string | null {
  const template = templates?.find(({ name }) => name === tenant.template);
  const version = template?.versions.find(({ version }) => version === tenant.template_version);
  if (!version?.undo_file) return null;
  return `Undoes template version ${version.version} with ${version.undo_file}.`;
}

function purgeText(tenant: Tenant): string {
  const when = tenant.purge_after ? ` Happens by itself at ${localTime(tenant.purge_after)}.` : "";
  return `Drops its data for good.${when}`;
}

interface RowProps {
  action: Action;
  label: string;
  text: ReactNode;
  onClick: () => void;
  safe: boolean;
}

function Row({ action, label, text, onClick, safe }: RowProps) {
  return (
    <Flex justify="space-between" align="center" gap="3" wrap="wrap">
      <Text flex="1" minW="12rem">
        {text}
      </Text>
      <ActionButton
        action={action}
        size="sm"
        variant="outline"
        colorPalette={safe ? "brand" : "red"}
        onClick={onClick}
      >
        {label}
      </ActionButton>
    </Flex>
  );
}

function UndeleteDialog({ tenant, onClose }: { tenant: Tenant; onClose: () => void }) {
  const undelete = useUndelete(tenant.id);
  const [slug, setSlug] = useState("");
  const [reason, setReason] = useState("");
  const [error, setError] = useState<string>();
  const submit = () => {
    const checked = reasonText.safeParse(reason);
    setError(checked.error?.issues[0]?.message);
    if (checked.success) undelete.mutate({ slug: slug.trim(), reason: checked.data }, { onSuccess: onClose });
  };
  return (
    <Modal
      title={`Undelete ${tenant.slug}`}
      open
      onClose={onClose}
      onSubmit={(event) => {
        event.preventDefault();
        submit();
      }}
      footer={
        <OrCancel onCancel={onClose}>
          <Button type="submit" loading={undelete.isPending}>
            Undelete
          </Button>
        </OrCancel>
      }
    >
      <FormField label="Another slug" help="Only where the old one has been taken.">
        <Input value={slug} onChange={(event) => setSlug(event.target.value)} autoComplete="off" />
      </FormField>
      <FormField label="Reason" required error={error}>
        <Input value={reason} onChange={(event) => setReason(event.target.value)} autoComplete="off" />
      </FormField>
      {undelete.isError && <ProblemAlert error={undelete.error} />}
    </Modal>
  );
}
