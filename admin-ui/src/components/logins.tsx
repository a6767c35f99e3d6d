import { Button, Text, NativeSelect } from "@chakra-ui/react";
import { KeyRound } from "lucide-react";
import { useState } from "react";
import { useRotateLogin } from "../api/queries";
import type { Login, Tenant } from "../api/schemas";
import { actionsIn } from "../lib/states";
import { ActionButton } from "./action-button";
import { Credentials } from "./credentials";
import { DataTable, type Columns } from "./data-table";
import { FormField } from "./form-field";
import { Modal, OrCancel } from "./modal";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";

interface Row extends Login {
  /** Absent where a new secret makes no sense. */
  onRotate?: () => void;
}

const COLUMNS: Columns<Row> = [
  { id: "name", header: "Login", cell: ({ row }) => row.original.name },
  { id: "kind", header: "Kind", cell: ({ row }) => row.original.kind },
  { id: "enabled", header: "Enabled", cell: ({ row }) => (row.original.enabled ? "yes" : "no") },
  {
    id: "rotate",
    header: "Secret",
    cell: ({ row: { original } }) =>
      original.onRotate && (
        <ActionButton
          action="login.rotate"
          size="xs"
          variant="outline"
          onClick={original.onRotate}
          aria-label={`Rotate ${original.name}`}
        >
          <KeyRound aria-hidden /> Rotate
        </ActionButton>
      ),
  },
];

/** A tenant's logins, each of which can get a new secret. */
export function Logins({ tenant }: { tenant: Tenant }) {
  const [rotating, setRotating] = useState<string | null>(null);
  const { rotate } = actionsIn(tenant.observed_state);
  const rows = tenant.logins.map((login) => ({
    ...login,
    onRotate: rotate ? () => setRotating(login.name) : undefined,
  }));
  return (
    <Section title="Logins">
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
      {rotating && <RotateDialog tenant={tenant} login={rotating} onClose={() => setRotating(null)} />}
    </Section>
  );
}

/** How long an old secret stays good, in seconds. */
const GRACE = [
  [0, "is refused at once"],
  [3_600, "stays good for an hour"],
  [86_400, "stays good for a day"],
  [604_800, "stays good for a week"],
] as const;

interface RotateDialogProps {
  tenant: Tenant;
  login: string;
  onClose: () => void;
}

function RotateDialog({ tenant, login, onClose }: RotateDialogProps) {
  const rotation = useRotateLogin(tenant.id);
  const [grace, setGrace] = useState("0");
  if (rotation.data) {
    return (
      <Modal
        title={`New secret for ${login}`}
        open
        sticky
        onClose={onClose}
        footer={<Button onClick={onClose}>I have stored it</Button>}
      >
        <Credentials credentials={[rotation.data]} />
      </Modal>
    );
  }
  return (
    <Modal
      title={`Rotate ${login} of ${tenant.slug}`}
      open
      alert
      onClose={onClose}
      footer={
        <OrCancel onCancel={onClose}>
          <Button
            loading={rotation.isPending}
            onClick={() => rotation.mutate({ login, graceSeconds: Number(grace) })}
          >
            Make a new secret
          </Button>
        </OrCancel>
      }
    >
      <Text>The login gets a new secret, which is shown once.</Text>
      <FormField label="The old secret" help="Sessions of the old secret end with it.">
        <NativeSelect.Root>
          <NativeSelect.Field value={grace} onChange={(event) => setGrace(event.target.value)}>
            {GRACE.map(([seconds, text]) => (
              <option key={seconds} value={seconds}>
                {text}
              </option>
            ))}
          </NativeSelect.Field>
          <NativeSelect.Indicator />
        </NativeSelect.Root>
      </FormField>
      {rotation.isError && <ProblemAlert error={rotation.error} />}
    </Modal>
  );
}
