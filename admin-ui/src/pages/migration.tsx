import { Box, Button, Flex, List, Stack, Text } from "@chakra-ui/react";
import { useState } from "react";
import { useParams } from "react-router";
import type { MigrationMove } from "../api/endpoints";
import { useMigration, useMoveMigration, useTargets } from "../api/migration-queries";
import type { Migration, Target } from "../api/schemas";
import { ActionButton } from "../components/action-button";
import { Facts } from "../components/facts";
import { HeatMap } from "../components/heat-map";
import { Loading } from "../components/loading";
import { Modal, OrCancel } from "../components/modal";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { RunBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { failures, movesIn } from "../lib/fleet";
import { Done } from "./migrations";

const MOVES: { move: MigrationMove; text: string; sure?: string }[] = [
  { move: "pause", text: "Pause" },
  { move: "resume", text: "Resume" },
  { move: "retry", text: "Retry the failed" },
  {
    move: "abort",
    text: "Abort",
    sure: "Tenants that are done keep the new version; those that wait keep theirs. It cannot be resumed.",
  },
];

/** One migration: how far it is, tenant by tenant, and what can be done. */
export function MigrationPage() {
  const { id = "" } = useParams();
  const migration = useMigration(id);
  if (migration.isPending) return <Loading what="the migration" />;
  if (!migration.data) {
    return (
      <>
        <PageHead title="Migration" />
        <ProblemAlert error={migration.error} onRetry={() => void migration.refetch()} />
      </>
    );
  }
  return <View migration={migration.data} />;
}

function View({ migration }: { migration: Migration }) {
  const { template, to_version, state, targets, wave, waves } = migration;
  return (
    <>
      <PageHead
        title={`${template} to version ${to_version}`}
        description={
          <span role="status">
            <RunBadge state={state} />
          </span>
        }
        actions={<Moves migration={migration} />}
      />
      <Stack gap="5">
        <Section title="Progress">
          <Box mb="3">
            <Done migration={migration} />
          </Box>
          <Facts
            facts={[
              ["Wave", wave != null && `${wave} of ${waves}`],
              ["Done", targets.done.toLocaleString()],
              ["Running", targets.running.toLocaleString()],
              ["Waiting", targets.pending.toLocaleString()],
              ["Failed", targets.failed.toLocaleString()],
              ["Skipped", targets.skipped > 0 && targets.skipped.toLocaleString()],
              ["Bears failures", migration.max_failures.toLocaleString()],
              ["At once", migration.parallelism],
              ["Why it stands", migration.reason],
              ["Begun", <Time key="at" iso={migration.created_at} />],
              ["By", migration.requested_by],
            ]}
          />
        </Section>
        <Targets migration={migration} />
      </Stack>
    </>
  );
}

function Moves({ migration }: { migration: Migration }) {
  const move = useMoveMigration(migration.id);
  const [asked, setAsked] = useState<(typeof MOVES)[number] | null>(null);
  const can = movesIn(migration);
  return (
    <Stack align="flex-end">
      <Flex gap="2" wrap="wrap">
        {MOVES.filter((entry) => can[entry.move]).map((entry) => (
          <ActionButton
            key={entry.move}
            action={`migration.${entry.move}`}
            size="sm"
            variant="outline"
            colorPalette={entry.sure ? "red" : undefined}
            loading={move.isPending && move.variables === entry.move}
            onClick={() => (entry.sure ? setAsked(entry) : move.mutate(entry.move))}
          >
            {entry.text}
          </ActionButton>
        ))}
      </Flex>
      {move.isError && <ProblemAlert error={move.error} />}
      {asked && (
        <Modal
          title={`${asked.text} this migration`}
          open
          alert
          onClose={() => setAsked(null)}
          footer={
            <OrCancel onCancel={() => setAsked(null)}>
              <Button
                colorPalette="red"
                onClick={() => {
                  move.mutate(asked.move);
                  setAsked(null);
                }}
              >
                {asked.text}
              </Button>
            </OrCancel>
          }
        >
          <Text>{asked.sure}</Text>
        </Modal>
      )}
    </Stack>
  );
}

function Targets({ migration }: { migration: Migration }) {
  const targets = useTargets(migration.id, "", migration.state === "running");
  const rows = targets.data?.pages.flatMap((page) => page.items) ?? [];
  if (targets.isPending) return <Loading what="tenants" />;
  if (targets.isError) return <ProblemAlert error={targets.error} onRetry={() => void targets.refetch()} />;
  return (
    <>
      <Failures targets={rows} />
      <Section title="Tenants">
        <HeatMap targets={rows} />
        {targets.hasNextPage && (
          <Button
            size="sm"
            variant="outline"
            mt="3"
            loading={targets.isFetchingNextPage}
            onClick={() => void targets.fetchNextPage()}
          >
            Load more
          </Button>
        )}
      </Section>
    </>
  );
}

function Failures({ targets }: { targets: Target[] }) {
  const groups = failures(targets);
  if (groups.length === 0) return null;
  return (
    <Section title="Failures">
      <List.Root ps="5" gap="2">
        {groups.map(({ error, sqlstate, slugs }) => (
          <List.Item key={`${sqlstate} ${error}`} overflowWrap="anywhere">
            <Text as="span" fontWeight="medium">
              {slugs.length.toLocaleString()} × {error} {sqlstate && `(${sqlstate})`}
            </Text>
            <Text color="fg.muted">{slugs.slice(0, 20).join(", ")}</Text>
          </List.Item>
        ))}
      </List.Root>
    </Section>
  );
}
