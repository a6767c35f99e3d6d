import { Alert, Box, Button, Flex, Progress, Stack, Text } from "@chakra-ui/react";
import { Download, Radio } from "lucide-react";
import { useParams } from "react-router";
import {
  isUnderWay,
  useCancelIsolation,
  useIsolationReport,
  useIsolationRun,
  type IsolationRun,
  type ReportFormat,
} from "../api/isolation";
import type { Connection } from "../api/watch";
import { Facts, type Fact } from "../components/facts";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { CancelIsolation } from "../components/start-isolation";
import { RunBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { WallMatrix } from "../components/wall-matrix";
import { saveBlob } from "../lib/download";
import { progressOf, verdict } from "../lib/isolation";
import { duration } from "../lib/time";

/** One leak test: how far it is, what leaked by class and wall, and its signed report. */
export function IsolationRunPage() {
  const { id = "" } = useParams();
  const run = useIsolationRun(id);
  if (run.isPending) return <Loading what="the leak test" />;
  if (!run.data) {
    return (
      <>
        <PageHead title="Leak test" />
        <ProblemAlert error={run.error} onRetry={() => void run.refetch()} />
      </>
    );
  }
  return <View run={run.data} connection={run.connection} />;
}

function View({ run, connection }: { run: IsolationRun; connection: Connection }) {
  const cancel = useCancelIsolation(run.id);
  const underWay = isUnderWay(run);
  return (
    <>
      <PageHead
        title="Leak test"
        description={
          <Flex gap="3" align="center" wrap="wrap" role="status">
            <RunBadge state={run.state} />
            <span>{verdict(run)}</span>
          </Flex>
        }
        actions={
          underWay &&
          !run.cancelled_by && <CancelIsolation loading={cancel.isPending} onCancel={() => cancel.mutate()} />
        }
      />
      <Stack gap="5">
        {cancel.isError && <ProblemAlert error={cancel.error} />}
        {run.error && (
          <Alert.Root status="error" role="alert">
            <Alert.Indicator />
            <Alert.Content overflowWrap="anywhere">
              <Alert.Title>It could not be run</Alert.Title>
              <Alert.Description>{run.error}</Alert.Description>
            </Alert.Content>
          </Alert.Root>
        )}
        {underWay && <HowFar run={run} connection={connection} />}
        <Section title="Attacks and leaks">
          <Text color="fg.muted" mb="3">
            Distinct leaks, of how many attacks. Only “both walls” is what clients meet.
          </Text>
          <WallMatrix walls={run.walls} underWay={underWay} />
        </Section>
        {run.report && <Report id={run.id} />}
        <Section title="About this test">
          <Facts facts={factsOf(run)} />
        </Section>
      </Stack>
    </>
  );
}

function factsOf(run: IsolationRun): Fact[] {
  const { wish, walls } = run;
  return [
    ["Started", <Time key="at" iso={run.started_at} />],
    ["By", run.requested_by],
    ["Took", duration(run.started_at, run.ended_at)],
    ["Attack", `${wish.seconds} s on each set of walls`],
    ["Probe tenants", wish.tenants.toLocaleString()],
    ["Attackers", `${wish.attackers} at once, ${wish.rate.toLocaleString()} statements a second at most`],
    ...walls
      .filter(({ victim_p50_ms }) => victim_p50_ms != null)
      .map(({ wall, victim_p50_ms, victim_p99_ms }): Fact => [
        `Victims, ${wall}`,
        `a statement took ${victim_p50_ms?.toFixed(1)} ms (99 of 100: ${victim_p99_ms?.toFixed(1)} ms)`,
      ]),
    ["Id", run.id],
  ];
}

const LINES: Record<Connection, string> = {
  opening: "Connecting …",
  live: "Live. You can leave this page: it goes on.",
  lost: "The connection is lost. Trying again; nothing is missed.",
};

function HowFar({ run, connection }: { run: IsolationRun; connection: Connection }) {
  const percent = Math.round(progressOf(run) * 100);
  return (
    <Box>
      <Flex align="center" gap="2" mb="2" textStyle="sm" color="fg.muted">
        <Radio size="1em" aria-hidden /> <span role="status">{LINES[connection]}</span>
      </Flex>
      <Progress.Root value={percent} size="sm" aria-label="Attacks">
        <Flex align="center" gap="3">
          <Progress.Track flex="1">
            <Progress.Range />
          </Progress.Track>
          <Text textStyle="sm" fontVariantNumeric="tabular-nums">
            {percent} %
          </Text>
        </Flex>
      </Progress.Root>
    </Box>
  );
}

function Report({ id }: { id: string }) {
  const { mutate, ...report } = useIsolationReport(id);
  const save = (format: ReportFormat) =>
    mutate(format, { onSuccess: (file) => saveBlob(`leak-test-${id}.${format}`, file) });
  return (
    <Section title="Report">
      <Text color="fg.muted" mb="3">
        With seed, policy epoch, every leak and the smallest statement that makes it.
      </Text>
      <Flex gap="3" wrap="wrap">
        <Button
          size="sm"
          loading={report.isPending && report.variables === "json"}
          onClick={() => save("json")}
        >
          <Download aria-hidden /> Signed report (JSON)
        </Button>
        <Button
          size="sm"
          variant="outline"
          loading={report.isPending && report.variables === "html"}
          onClick={() => save("html")}
        >
          <Download aria-hidden /> Page (HTML)
        </Button>
      </Flex>
      {report.isError && (
        <Box mt="4">
          <ProblemAlert error={report.error} />
        </Box>
      )}
    </Section>
  );
}
