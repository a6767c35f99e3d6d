import { Flex, Text } from "@chakra-ui/react";
import { KeyRound, Plus, Trash2 } from "lucide-react";
import { useState } from "react";
import type { Login, Tenant } from "../api/schemas";
import { actionsIn } from "../lib/states";
import { ActionButton } from "./action-button";
import { DataTable, type Columns } from "./data-table";
import { AddDialog, RemoveDialog, RotateDialog } from "./login-dialogs";
import { Section } from "./section";

interface Row extends Login {
  /** Absent where a new secret makes no sense. */
  onRotate?: () => void;
  onRemove?: () => void;
}

const COLUMNS: Columns<Row> = [
  { id: "name", header: "Login", cell: ({ row }) => row.original.name },
  { id: "kind", header: "Kind", cell: ({ row }) => row.original.kind },
  { id: "enabled", header: "Enabled", cell: ({ row }) => (row.original.enabled ? "yes" : "no") },
  {
    id: "actions",
    header: "Actions",
    cell: ({ row: { original } }) => (
      <Flex gap="2" wrap="wrap">
        {original.onRotate && (
          <ActionButton
            action="login.rotate"
            size="xs"
            variant="outline"
            onClick={original.onRotate}
            aria-label={`Rotate ${original.name}`}
          >
            <KeyRound aria-hidden /> Rotate
          </ActionButton>
        )}
        {original.onRemove && (
          <ActionButton
            action="login.remove"
            size="xs"
            variant="outline"
            onClick={original.onRemove}
            aria-label={`Remove ${original.name}`}
          >
            <Trash2 aria-hidden /> Remove
          </ActionButton>
        )}
      </Flex>
    ),
  },
];

/** What is being done to the logins. */
type Doing = { what: "add" } | { what: "rotate" | "remove"; login: string };

/** A tenant's logins: each can get a new secret or be removed, and more can be added. */
export function Logins({ tenant }: { tenant: Tenant }) {
  const [doing, setDoing] = useState<Doing | null>(null);
  const { logins } = actionsIn(tenant.observed_state);
  const rows = tenant.logins.map((login) => ({
    ...login,
    onRotate: logins ? () => setDoing({ what: "rotate", login: login.name }) : undefined,
    onRemove: logins ? () => setDoing({ what: "remove", login: login.name }) : undefined,
  }));
  const dialog = { tenant, onClose: () => setDoing(null) };
  const add = logins && (
    <ActionButton action="login.create" size="sm" variant="outline" onClick={() => setDoing({ what: "add" })}>
      <Plus aria-hidden /> Add a login
    </ActionButton>
  );
  return (
    <Section title="Logins" actions={add}>
      {rows.length > 0 ? (
        <DataTable
          label="Logins"
          columns={COLUMNS}
          rows={rows}
          rowId={(login) => login.name}
          hideBelow={{ kind: "md" }}
          dense
        />
      ) : (
        <Text color="fg.muted">This tenant has no logins.</Text>
      )}
      {doing?.what === "add" && <AddDialog {...dialog} />}
      {doing?.what === "rotate" && <RotateDialog {...dialog} login={doing.login} />}
      {doing?.what === "remove" && <RemoveDialog {...dialog} login={doing.login} />}
    </Section>
  );
}
