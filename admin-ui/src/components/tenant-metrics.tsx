import { Text } from "@chakra-ui/react";
import { useState } from "react";
import { useHistogram, useUsage } from "../api/live";
import { useRefusal } from "../api/queries";
import type { Tenant } from "../api/schemas";
import { barsOf } from "../lib/audit";
import { bytes } from "../lib/bytes";
import { Bars } from "./bars";
import { Facts } from "./facts";
import { Loading } from "./loading";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";
import { Time } from "./time";

/** The time that the chart covers, in milliseconds. */
const SPAN_MS = 24 * 3_600_000;

/** How much room a tenant takes, when it was at work, and what it did over the last day. */
export function TenantMetrics({ tenant }: { tenant: Tenant }) {
  const usage = useUsage([tenant.id]).get(tenant.id);
  const refused = useRefusal("audit.read");
  return (
    <Section title="Metrics">
      <Facts
        facts={[
          ["Size", bytes(usage?.bytes)],
          ["Tables", usage?.tables.toLocaleString()],
          ["Last activity", <Time key="at" iso={usage?.active_at} />],
        ]}
      />
      <Text textStyle="sm" color="fg.muted" mt="4" mb="2">
        {refused ?? "Events of the last 24 hours: logins, refusals, counts of statements, changes."}
      </Text>
      {!refused && <Day tenant={tenant} />}
    </Section>
  );
}

function Day({ tenant }: { tenant: Tenant }) {
  const [since] = useState(() => new Date(Date.now() - SPAN_MS).toISOString());
  const events = useHistogram({ tenant: tenant.id, since });
  if (events.isPending) return <Loading what="counts" />;
  if (events.isError) return <ProblemAlert error={events.error} onRetry={() => void events.refetch()} />;
  const bars = barsOf(events.data, since, new Date().toISOString());
  if (bars.length === 0) return <Text color="fg.muted">Nothing.</Text>;
  return <Bars bars={bars} />;
}
