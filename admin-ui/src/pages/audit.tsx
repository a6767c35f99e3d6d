import { Button, Text } from "@chakra-ui/react";
import { useState } from "react";
import { useAudit, useRefusal, useWhoami } from "../api/queries";
import type { AuditEvent } from "../api/schemas";
import { AuditDrawer } from "../components/audit-drawer";
import { ALL_FILTERS, AuditFilters, AuditMarks } from "../components/audit-filters";
import { AuditSummary } from "../components/audit-summary";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { Forbidden } from "../components/forbidden";
import { IntegrityBadge } from "../components/integrity-badge";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { Pager } from "../components/pager";
import { ProblemAlert } from "../components/problem-alert";
import { SavedViews } from "../components/saved-views";
import { DecisionBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { useFilters } from "../lib/filters";
import { words } from "../lib/states";
import { localZone } from "../lib/time";

/** Events on one page. */
const PAGE = 100;

interface Row extends AuditEvent {
  onOpen: () => void;
}

const COLUMNS: Columns<Row> = [
  { id: "at", header: "Time", cell: ({ row }) => <Time iso={row.original.at} absolute /> },
  {
    id: "decision",
    header: "Decision",
    cell: ({ row: { original } }) => (
      <DecisionBadge allowed={original.decision === "allow"} text={original.decision} />
    ),
  },
  { id: "action", header: "Action", cell: ({ row }) => row.original.action },
  {
    id: "tenant",
    header: "Tenant",
    cell: ({ row }) => row.original.tenant ?? row.original.tenant_id ?? "–",
  },
  { id: "actor", header: "Actor", cell: ({ row }) => row.original.actor },
  {
    id: "what",
    header: "What",
    cell: ({ row: { original } }) => (
      <Text lineClamp={2} maxW="22rem" overflowWrap="anywhere">
        {original.reason ? words(original.reason) : (original.object ?? original.verb ?? original.result)}
      </Text>
    ),
  },
  {
    id: "details",
    header: "Details",
    cell: ({ row: { original } }) => (
      <Button
        size="xs"
        variant="outline"
        onClick={original.onOpen}
        aria-label={`Details of ${original.action} at ${original.at}`}
      >
        Details
      </Button>
    ),
  },
];

/** The audit trail, newest first; not for everybody. */
export function AuditPage() {
  const refused = useRefusal("audit.read");
  const known = useWhoami().isSuccess;
  if (refused) return known ? <Forbidden title="Audit" reason={refused} /> : <Loading what="your roles" />;
  return <Trail />;
}

function Trail() {
  const { values, setFilters, cursor, setCursor, active } = useFilters(ALL_FILTERS);
  const audit = useAudit({ ...values, cursor, limit: PAGE });
  const [opened, setOpened] = useState<AuditEvent | null>(null);
  const rows = audit.data?.items.map((event) => ({ ...event, onOpen: () => setOpened(event) })) ?? [];
  return (
    <>
      <PageHead
        title="Audit"
        description={`Newest first. Times are in ${localZone()}.`}
        actions={<IntegrityBadge />}
      />
      <AuditFilters key={JSON.stringify(values)} values={values} onChange={setFilters} />
      <AuditMarks values={values} onRemove={(name) => setFilters({ [name]: "" })} />
      <SavedViews list="audit" />
      {audit.isPending && <Loading what="events" />}
      {audit.isError && <ProblemAlert error={audit.error} onRetry={() => void audit.refetch()} />}
      {audit.data && !audit.isError && (
        <>
          {rows.length > 0 && (
            <AuditSummary
              filter={values}
              events={audit.data.items}
              onPick={(changes) => setFilters(changes)}
            />
          )}
          {rows.length > 0 ? (
            <DataTable
              label="Audit events"
              columns={COLUMNS}
              rows={rows}
              rowId={(event) => event.id}
              hideBelow={{ what: "lg", actor: "md", tenant: "sm" }}
              stale={audit.isPlaceholderData}
            />
          ) : (
            <Empty
              title={active ? "No event fits" : "No events yet"}
              description={
                active ? "Nothing matches the filters." : "Denials, logins and changes will stand here."
              }
            />
          )}
          <Pager
            label="events"
            cursor={cursor}
            next={audit.data.next_cursor}
            onChange={setCursor}
            nextText="Older"
          />
        </>
      )}
      <AuditDrawer event={opened} onClose={() => setOpened(null)} />
    </>
  );
}
