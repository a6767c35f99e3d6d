import { Button, Flex, Stack, Text } from "@chakra-ui/react";
import { useState } from "react";
import { useApprovals, useDecide, type Approval } from "../api/approvals";
import { useWhoami } from "../api/queries";
import { CodeBox } from "../components/code-box";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { Facts } from "../components/facts";
import { Loading } from "../components/loading";
import { Modal } from "../components/modal";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Time } from "../components/time";

interface Row extends Approval {
  onLook: () => void;
}

const COLUMNS: Columns<Row> = [
  { id: "state", header: "State", cell: ({ row }) => row.original.state },
  { id: "action", header: "Request", cell: ({ row }) => row.original.action },
  { id: "by", header: "By", cell: ({ row }) => row.original.requested_by },
  { id: "at", header: "When", cell: ({ row }) => <Time iso={row.original.requested_at} /> },
  { id: "decided", header: "Decided by", cell: ({ row }) => row.original.decided_by },
  {
    id: "look",
    header: "Details",
    cell: ({ row: { original } }) => (
      <Button
        size="xs"
        variant="outline"
        onClick={original.onLook}
        aria-label={`Look at ${original.action} of ${original.requested_by}`}
      >
        Look
      </Button>
    ),
  },
];

/** Requests that need a second person: who asked for what, and the decision. */
export function ApprovalsPage() {
  const approvals = useApprovals();
  const [open, setOpen] = useState<string | null>(null);
  const items = approvals.data?.items ?? [];
  const shown = items.find(({ id }) => id === open);
  const actions = approvals.data?.actions ?? [];
  return (
    <>
      <PageHead
        title="Approvals"
        description={
          approvals.data &&
          (actions.length > 0
            ? `A second person must approve: ${actions.join(", ")}.`
            : "No request needs a second person: second_person in the configuration names those that do.")
        }
      />
      {approvals.isPending && <Loading what="the approvals" />}
      {approvals.isError && <ProblemAlert error={approvals.error} onRetry={() => void approvals.refetch()} />}
      {approvals.data && items.length === 0 && (
        <Empty title="Nothing was asked for" description="Requests that need a second person stand here." />
      )}
      {items.length > 0 && (
        <DataTable
          label="Approvals"
          columns={COLUMNS}
          rows={items.map((item) => ({ ...item, onLook: () => setOpen(item.id) }))}
          rowId={({ id }) => id}
          hideBelow={{ decided: "md", at: "sm" }}
        />
      )}
      {shown && <ApprovalDialog approval={shown} onClose={() => setOpen(null)} />}
    </>
  );
}

function ApprovalDialog({ approval, onClose }: { approval: Approval; onClose: () => void }) {
  const me = useWhoami().data?.subject;
  const decision = useDecide();
  const mine = approval.requested_by === me;
  const open = approval.state === "waiting";
  const decide = (what: "approve" | "refuse") =>
    decision.mutate({ id: approval.id, decision: what }, { onSuccess: onClose });
  return (
    <Modal
      title={approval.action}
      open
      onClose={onClose}
      footer={
        <Flex gap="3" wrap="wrap">
          <Button variant="outline" onClick={onClose}>
            Close
          </Button>
          {open && (
            <Button
              variant="outline"
              colorPalette="red"
              loading={decision.isPending}
              onClick={() => decide("refuse")}
            >
              Refuse
            </Button>
          )}
          {open && !mine && (
            <Button loading={decision.isPending} onClick={() => decide("approve")}>
              Approve
            </Button>
          )}
        </Flex>
      }
    >
      <Stack gap="4">
        <Facts
          facts={[
            ["State", approval.state],
            ["Asked by", approval.requested_by],
            ["When", <Time key="at" iso={approval.requested_at} absolute />],
            ["Good until", <Time key="until" iso={approval.expires_at} absolute />],
            ["Decided by", approval.decided_by],
            ["Path", approval.path],
          ]}
        />
        {Object.entries(approval.body ?? {}).map(([name, value]) => (
          <CodeBox
            key={name}
            label={name}
            text={typeof value === "string" ? value : JSON.stringify(value, null, 2)}
            wrap
          />
        ))}
        {open && mine && <Text color="fg.muted">You asked for it: another person must approve it.</Text>}
        {decision.isError && <ProblemAlert error={decision.error} />}
      </Stack>
    </Modal>
  );
}
