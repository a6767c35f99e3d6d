import { Link, List, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router";
import { problemOf } from "../api/client";
import { useAudit, useDrift, useOperations, useRefusal } from "../api/queries";
import type { AuditEvent, Operation, Tenant } from "../api/schemas";
import { DataTable, type Columns } from "./data-table";
import { CodeBox } from "./code-box";
import { Loading } from "./loading";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";
import { DecisionBadge, RunBadge } from "./state-badge";
import { Time } from "./time";

/** Rows that the tenant's page shows of each history. */
const SHOWN = 8;

const OPERATIONS: Columns<Operation> = [
  { id: "kind", header: "Operation", cell: ({ row }) => row.original.kind },
  { id: "state", header: "State", cell: ({ row }) => <RunBadge state={row.original.state} /> },
  { id: "at", header: "When", cell: ({ row }) => <Time iso={row.original.created_at} /> },
  { id: "by", header: "By", cell: ({ row }) => row.original.requested_by },
];

/** What has been done to a tenant. Left out where the control plane keeps no list. */
export function TenantOperations({ tenant }: { tenant: Tenant }) {
  const operations = useOperations({ tenant: tenant.id, limit: SHOWN });
  if (operations.isError && problemOf(operations.error).status === 404) return null;
  return (
    <Section title="Operations">
      {operations.isPending && <Loading what="operations" />}
      {operations.isError && (
        <ProblemAlert error={operations.error} onRetry={() => void operations.refetch()} />
      )}
      {operations.data?.items.length === 0 && <Text color="fg.muted">None yet.</Text>}
      {operations.data && operations.data.items.length > 0 && (
        <DataTable
          label="Operations"
          columns={OPERATIONS}
          rows={operations.data.items}
          rowId={(operation) => operation.id}
          hideBelow={{ by: "2xl" }}
        />
      )}
    </Section>
  );
}

const EVENTS: Columns<AuditEvent> = [
  { id: "action", header: "Action", cell: ({ row }) => row.original.action },
  {
    id: "decision",
    header: "Decision",
    cell: ({ row: { original } }) => (
      <DecisionBadge allowed={original.decision === "allow"} text={original.decision} />
    ),
  },
  { id: "actor", header: "Actor", cell: ({ row }) => row.original.actor },
  { id: "at", header: "When", cell: ({ row }) => <Time iso={row.original.at} /> },
];

/** The newest of a tenant's audit trail. */
export function TenantAudit({ tenant }: { tenant: Tenant }) {
  const refused = useRefusal("audit.read");
  return (
    <Section
      title="Audit"
      actions={
        refused === null && (
          <Link asChild variant="underline" color="colorPalette.fg" textStyle="sm">
            <RouterLink to={`/audit?tenant=${tenant.id}`}>All events</RouterLink>
          </Link>
        )
      }
    >
      {refused ? <Text color="fg.muted">{refused}</Text> : <Events tenant={tenant} />}
    </Section>
  );
}

function Events({ tenant }: { tenant: Tenant }) {
  const audit = useAudit({ tenant: tenant.id, limit: SHOWN });
  if (audit.isPending) return <Loading what="events" />;
  if (audit.isError) return <ProblemAlert error={audit.error} onRetry={() => void audit.refetch()} />;
  if (audit.data.items.length === 0) return <Text color="fg.muted">No events yet.</Text>;
  return (
    <DataTable
      label="Newest audit events"
      columns={EVENTS}
      rows={audit.data.items}
      rowId={(event) => event.id}
      hideBelow={{ actor: "md" }}
    />
  );
}

/** Whether the tenant's schema is what its template makes. */
export function SchemaSection({ tenant }: { tenant: Tenant }) {
  const there = ["active", "suspended"].includes(tenant.observed_state);
  const drift = useDrift(tenant.id, there);
  if (!there) return null;
  return (
    <Section title="Schema">
      <Text mb="3">
        Template {tenant.template}, version {tenant.template_version}.
      </Text>
      {drift.isPending && <Loading what="the comparison" />}
      {drift.isError && <ProblemAlert error={drift.error} onRetry={() => void drift.refetch()} />}
      {drift.data && !drift.data.drifted && (
        <DecisionBadge allowed text="as its template makes it: no drift" />
      )}
      {drift.data?.drifted && (
        <List.Root variant="plain" gap="3">
          <List.Item>
            <DecisionBadge allowed={false} text="differs from its template" />
          </List.Item>
          <List.Item>
            <CodeBox label="Differences" text={drift.data.lines.join("\n")} wrap />
          </List.Item>
        </List.Root>
      )}
    </Section>
  );
}
