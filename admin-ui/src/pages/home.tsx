import { Box, Link, List, SimpleGrid, Stack, Text } from "@chakra-ui/react";
import { useState } from "react";
import { Link as RouterLink } from "react-router";
import { problemOf } from "../api/client";
import { useHistogram, useIntegrity } from "../api/live";
import { useMigrations } from "../api/migration-queries";
import { useFleetDrift, useOperations, useRefusal, useTenants, useWarmPool } from "../api/queries";
import { Bars } from "../components/bars";
import { Facts } from "../components/facts";
import { IntegrityBadge } from "../components/integrity-badge";
import { Loading } from "../components/loading";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { RunBadge, StateBadge } from "../components/state-badge";
import { Time } from "../components/time";
import { barsOf } from "../lib/audit";

/** Tenants that are counted for each state: the API's largest page. More are told as "200 or more". */
const COUNTED = 200;
/** The time that the chart of denials covers, in milliseconds. */
const SPAN_MS = 24 * 3_600_000;
const STATES = ["active", "suspended", "failed", "provisioning", "purging"];

/** What runs, what was denied, and what needs somebody. */
export function HomePage() {
  return (
    <>
      <PageHead title="Home" description="The fleet at a glance." />
      <SimpleGrid columns={{ base: 1, lg: 2 }} gap="5">
        <Fleet />
        <Attention />
        <InFlight />
        <Denials />
        <AuditHealth />
      </SimpleGrid>
    </>
  );
}

function Fleet() {
  return (
    <Section title="Tenants by state">
      <List.Root variant="plain" gap="2">
        {STATES.map((state) => (
          <StateCount key={state} state={state} />
        ))}
      </List.Root>
    </Section>
  );
}

function StateCount({ state }: { state: string }) {
  const tenants = useTenants({ state, limit: COUNTED });
  const count = tenants.data?.items.length;
  const text = count === undefined ? "…" : `${count}${tenants.data?.next_cursor ? " or more" : ""}`;
  return (
    <List.Item display="flex" justifyContent="space-between" gap="3" alignItems="center">
      <Link asChild>
        <RouterLink to={`/tenants?state=${state}`}>
          <StateBadge state={state} />
        </RouterLink>
      </Link>
      <Text as="span" fontVariantNumeric="tabular-nums">
        {tenants.isError ? "not known" : text}
      </Text>
    </List.Item>
  );
}

function Attention() {
  const failed = useTenants({ state: "failed", limit: COUNTED });
  const drift = useFleetDrift();
  const migrations = useMigrations();
  const warm = useWarmPool();
  if (failed.isPending || drift.isPending || migrations.isPending) {
    return (
      <Section title="Needs attention">
        <Loading what="what needs attention" />
      </Section>
    );
  }
  const error = failed.error ?? drift.error ?? migrations.error;
  const stuck = migrations.data?.items.filter(({ state }) => state === "paused" || state === "failed") ?? [];
  const failures = failed.data?.items ?? [];
  const drifted = drift.data?.items ?? [];
  const nothing = !error && stuck.length + failures.length + drifted.length === 0;
  return (
    <Section title="Needs attention">
      {error && <ProblemAlert error={error} />}
      {nothing && (
        <Text color="fg.muted">Nothing. {drift.data?.checked} schemas were compared: no drift.</Text>
      )}
      <List.Root ps="5" gap="1.5">
        {failures.map(({ id, slug }) => (
          <Item key={id} to={`/tenants/${id}`} text={`${slug} failed`} />
        ))}
        {drifted.map(({ tenant_id, slug }) => (
          <Item key={tenant_id} to={`/tenants/${tenant_id}`} text={`${slug} differs from its template`} />
        ))}
        {stuck.map(({ id, template, to_version, state }) => (
          <Item key={id} to={`/migrations/${id}`} text={`${template} to version ${to_version} is ${state}`} />
        ))}
      </List.Root>
      {warm.data && warm.data.size > 0 && (
        <Box mt="4">
          <Facts facts={[["Warm pool", `${warm.data.ready} of ${warm.data.size} ready`]]} />
        </Box>
      )}
    </Section>
  );
}

function Item({ to, text }: { to: string; text: string }) {
  return (
    <List.Item>
      <Link asChild variant="underline" color="colorPalette.fg">
        <RouterLink to={to}>{text}</RouterLink>
      </Link>
    </List.Item>
  );
}

function InFlight() {
  const operations = useOperations({ limit: 8 });
  const migrations = useMigrations();
  const running = migrations.data?.items.filter(({ state }) => state === "running") ?? [];
  const listed = !(operations.isError && problemOf(operations.error).status === 404);
  const items = operations.data?.items ?? [];
  return (
    <Section title={listed ? "Operations" : "Migrations in flight"}>
      <Stack gap="2">
        {running.map(({ id, template, to_version }) => (
          <Box key={id}>
            <RunBadge state="running" />{" "}
            <Link asChild variant="underline">
              <RouterLink to={`/migrations/${id}`}>
                {template} to version {to_version}
              </RouterLink>
            </Link>
          </Box>
        ))}
        {items.map(({ id, kind, slug, state, tenant_id, created_at }) => (
          <Box key={id}>
            <RunBadge state={state} />{" "}
            {slug ? (
              <Link asChild variant="underline">
                <RouterLink to={`/tenants/${tenant_id}`}>
                  {kind} {slug}
                </RouterLink>
              </Link>
            ) : (
              // Nothing is left of it to be shown.
              `${kind} ${tenant_id}`
            )}{" "}
            <Time iso={created_at} />
          </Box>
        ))}
        {running.length + items.length === 0 && !operations.isPending && (
          <Text color="fg.muted">Nothing runs.</Text>
        )}
      </Stack>
    </Section>
  );
}

function Denials() {
  const refused = useRefusal("audit.read");
  return (
    <Section title="Denials of the last 24 hours">
      {refused ? <Text color="fg.muted">{refused}</Text> : <DenialChart />}
    </Section>
  );
}

function DenialChart() {
  const [since] = useState(() => new Date(Date.now() - SPAN_MS).toISOString());
  const denials = useHistogram({ decision: "deny", since });
  if (denials.isPending) return <Loading what="denials" />;
  if (denials.isError) return <ProblemAlert error={denials.error} onRetry={() => void denials.refetch()} />;
  const bars = barsOf(denials.data, since, new Date().toISOString());
  return (
    <>
      {bars.length > 0 ? <Bars bars={bars} /> : <Text color="fg.muted">Nothing was denied.</Text>}
      <Link asChild variant="underline" color="colorPalette.fg" textStyle="sm" mt="3">
        <RouterLink to="/audit?decision=deny">All denials</RouterLink>
      </Link>
    </>
  );
}

function AuditHealth() {
  const refused = useRefusal("audit.read");
  return (
    <Section title="Audit trail" actions={refused === null && <IntegrityBadge />}>
      {refused ? <Text color="fg.muted">{refused}</Text> : <Health />}
    </Section>
  );
}

function Health() {
  const { data, isPending, isError, error, refetch } = useIntegrity();
  if (isPending) return <Loading what="the audit trail's state" />;
  if (isError) return <ProblemAlert error={error} onRetry={() => void refetch()} />;
  return (
    <Facts
      facts={[
        ["Events", data.size.toLocaleString()],
        ["Signed", `${data.signed.toLocaleString()} of ${data.size.toLocaleString()}`],
        ["Last signed", data.signed_at && <Time key="at" iso={data.signed_at} />],
        ["Waiting for a number", data.unnumbered.toLocaleString()],
      ]}
    />
  );
}
