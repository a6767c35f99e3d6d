import { Link, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router";
import { isUnderWay, useIsolationRuns, type IsolationRun } from "../api/isolation";
import { CodeBox } from "../components/code-box";
import { DataTable, type Columns } from "../components/data-table";
import { Empty } from "../components/empty";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { NoIsolation, StartIsolation } from "../components/start-isolation";
import { RunBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { duration } from "../lib/time";

const attacksOf = (run: IsolationRun) => run.walls.reduce((sum, { statements }) => sum + statements, 0);

const COLUMNS: Columns<IsolationRun> = [
  {
    id: "started",
    header: "Started",
    cell: ({ row: { original } }) => (
      <Link asChild variant="underline" color="colorPalette.fg">
        <RouterLink to={`/isolation/${original.id}`}>
          <Time iso={original.started_at} absolute />
        </RouterLink>
      </Link>
    ),
  },
  { id: "state", header: "State", cell: ({ row }) => <RunBadge state={row.original.state} /> },
  { id: "leaks", header: "Leaks", cell: ({ row }) => row.original.leaks?.toLocaleString() ?? "–" },
  { id: "attacks", header: "Attacks", cell: ({ row }) => attacksOf(row.original).toLocaleString() },
  {
    id: "walls",
    header: "Walls",
    cell: ({ row }) => (row.original.wish.each_wall ? "each" : "both"),
  },
  {
    id: "took",
    header: "Took",
    cell: ({ row }) => duration(row.original.started_at, row.original.ended_at) ?? "–",
  },
  { id: "by", header: "By", cell: ({ row }) => row.original.requested_by },
];

/** Leak tests: a new one, and what earlier ones found. */
export function IsolationPage() {
  const runs = useIsolationRuns();
  return (
    <>
      <PageHead
        title="Isolation"
        description="Attacks on this installation by tenants that are made for it, and what came back."
      />
      {runs.isPending && <Loading what="leak tests" />}
      {runs.isError && <ProblemAlert error={runs.error} onRetry={() => void runs.refetch()} />}
      {runs.data && (
        <Stack gap="5">
          {runs.data.longest_seconds > 0 ? (
            <StartIsolation longest={runs.data.longest_seconds} busy={runs.data.items.some(isUnderWay)} />
          ) : (
            <NoIsolation />
          )}
          <Section title="History">
            {runs.data.items.length > 0 ? (
              <DataTable
                label="Leak tests"
                columns={COLUMNS}
                rows={runs.data.items}
                rowId={(run) => run.id}
                hideBelow={{ by: "md", took: "lg", walls: "lg", attacks: "md" }}
              />
            ) : (
              <Empty
                title="No leak tests yet"
                description="What they find will stand here, with its report."
              />
            )}
          </Section>
          <Section title="Checking a report">
            <Text color="fg.muted" mb="3">
              Reports are signed by this installation&apos;s key. Keep the key where its administrators cannot
              change it.
            </Text>
            <CodeBox
              label="Command"
              text={`palisade report verify leak-test.json --key '${runs.data.key}'`}
              wrap
            />
          </Section>
        </Stack>
      )}
    </>
  );
}
