import { Button, Text } from "@chakra-ui/react";
import { Plus } from "lucide-react";
import { useState } from "react";
import { useRefusal } from "../api/queries";
import { useRevokeToken, useTokens, type ApiToken } from "../api/tokens";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { Forbidden } from "../components/forbidden";
import { Loading } from "../components/loading";
import { ConfirmDialog } from "../components/confirm-dialog";
import { NewToken } from "../components/new-token";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Time } from "../components/time";

interface Row extends ApiToken {
  onRevoke: () => void;
}

/** Whether a token still opens anything at a time, in words. */
export function tokenState(
  { revoked_at, expires_at }: ApiToken,
  now: number,
): "good" | "revoked" | "expired" {
  if (revoked_at) return "revoked";
  return Date.parse(expires_at) <= now ? "expired" : "good";
}

const COLUMNS: Columns<Row> = [
  { id: "name", header: "Name", cell: ({ row }) => row.original.name },
  { id: "state", header: "State", cell: ({ row }) => tokenState(row.original, Date.now()) },
  { id: "roles", header: "Roles", cell: ({ row }) => row.original.roles.join(", ") },
  {
    id: "tenants",
    header: "Tenants",
    cell: ({ row: { original } }) => original.tenants?.join(", ") ?? "all",
  },
  { id: "ends", header: "Ends", cell: ({ row }) => <Time iso={row.original.expires_at} /> },
  {
    id: "used",
    header: "Last used",
    cell: ({ row: { original } }) => (original.last_used_at ? <Time iso={original.last_used_at} /> : "never"),
  },
  { id: "by", header: "Made by", cell: ({ row }) => row.original.created_by },
  {
    id: "revoke",
    header: "Actions",
    cell: ({ row: { original } }) =>
      tokenState(original, Date.now()) === "good" && (
        <Button
          size="xs"
          variant="outline"
          colorPalette="red"
          onClick={original.onRevoke}
          aria-label={`Revoke ${original.name}`}
        >
          Revoke
        </Button>
      ),
  },
];

/** The tokens that programs use the API with. */
export function TokensPage() {
  const refused = useRefusal("token.manage");
  const tokens = useTokens(refused === null);
  const [making, setMaking] = useState(false);
  const [revoking, setRevoking] = useState<ApiToken | null>(null);
  if (refused !== null) return <Forbidden title="API tokens" reason={refused} />;
  const items = tokens.data?.items ?? [];
  return (
    <>
      <PageHead
        title="API tokens"
        description="For programs. People sign in with their own account."
        actions={
          <Button onClick={() => setMaking(true)}>
            <Plus aria-hidden /> New token
          </Button>
        }
      />
      {tokens.isPending && <Loading what="the tokens" />}
      {tokens.isError && <ProblemAlert error={tokens.error} onRetry={() => void tokens.refetch()} />}
      {tokens.data && items.length === 0 && (
        <Empty
          title="No tokens yet"
          description="Make one for each program, with no more roles than it needs."
        />
      )}
      {items.length > 0 && (
        <DataTable
          label="API tokens"
          columns={COLUMNS}
          rows={items.map((token) => ({ ...token, onRevoke: () => setRevoking(token) }))}
          rowId={({ id }) => id}
          hideBelow={{ by: "lg", tenants: "md" }}
        />
      )}
      {making && <NewToken onClose={() => setMaking(false)} />}
      {revoking && <RevokeDialog token={revoking} onClose={() => setRevoking(null)} />}
    </>
  );
}

function RevokeDialog({ token, onClose }: { token: ApiToken; onClose: () => void }) {
  const revocation = useRevokeToken();
  return (
    <ConfirmDialog
      title={`Revoke ${token.name}`}
      verb="Revoke"
      deed={revocation}
      onConfirm={() => revocation.mutate(token.id, { onSuccess: onClose })}
      onClose={onClose}
    >
      <Text>Programs that use it are refused from now on. This cannot be undone.</Text>
    </ConfirmDialog>
  );
}
