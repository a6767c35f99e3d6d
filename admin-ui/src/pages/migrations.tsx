import { Link, Progress, Text } from "@chakra-ui/react";
import { Link as RouterLink, useNavigate } from "react-router";
import { useMigrations } from "../api/migration-queries";
import type { Migration } from "../api/schemas";
import { ActionButton } from "../components/action-button";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { RunBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { percentDone } from "../lib/fleet";

const COLUMNS: Columns<Migration> = [
  {
    id: "what",
    header: "Migration",
    cell: ({ row: { original } }) => (
      <Link asChild fontWeight="semibold" variant="underline" color="colorPalette.fg">
        <RouterLink to={`/migrations/${original.id}`}>
          {original.template} to version {original.to_version}
        </RouterLink>
      </Link>
    ),
  },
  { id: "state", header: "State", cell: ({ row }) => <RunBadge state={row.original.state} /> },
  { id: "progress", header: "Progress", cell: ({ row }) => <Done migration={row.original} /> },
  { id: "failed", header: "Failed", cell: ({ row }) => row.original.targets.failed.toLocaleString() },
  { id: "by", header: "By", cell: ({ row }) => row.original.requested_by },
  { id: "at", header: "Begun", cell: ({ row }) => <Time iso={row.original.created_at} /> },
];

/** How far a migration is. */
export function Done({ migration }: { migration: Migration }) {
  const percent = percentDone(migration.targets);
  return (
    <Progress.Root value={percent} minW="6rem" size="sm" aria-label={`${percent} percent done`}>
      <Progress.Track>
        <Progress.Range />
      </Progress.Track>
      <Text as="span" textStyle="xs" color="fg.muted">
        {percent} %
      </Text>
    </Progress.Root>
  );
}

/** Migrations of the fleet, newest first. */
export function MigrationsPage() {
  const migrations = useMigrations();
  const navigate = useNavigate();
  return (
    <>
      <PageHead
        title="Migrations"
        description="Tenants are moved to a newer template version, wave by wave."
        actions={
          <ActionButton action="migration.start" size="sm" onClick={() => void navigate("/migrations/new")}>
            New migration
          </ActionButton>
        }
      />
      {migrations.isPending && <Loading what="migrations" />}
      {migrations.isError && (
        <ProblemAlert error={migrations.error} onRetry={() => void migrations.refetch()} />
      )}
      {migrations.data?.items.length === 0 && (
        <Empty title="No migrations yet" description="A new template version is brought to tenants here." />
      )}
      {migrations.data && migrations.data.items.length > 0 && (
        <DataTable
          label="Migrations"
          columns={COLUMNS}
          rows={migrations.data.items}
          rowId={(migration) => migration.id}
          hideBelow={{ failed: "md", by: "lg", at: "md", progress: "sm" }}
        />
      )}
    </>
  );
}
