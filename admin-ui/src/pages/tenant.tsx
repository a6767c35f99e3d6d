import { Flex, Link, Stack, Text } from "@chakra-ui/react";
import { CirclePause, CirclePlay } from "lucide-react";
import { useEffect, useRef, useState } from "react";
import { Link as RouterLink, useParams } from "react-router";
import { isRunning, useTenant, useTenantStatus } from "../api/queries";
import type { Tenant } from "../api/schemas";
import { ActionButton } from "../components/action-button";
import { Copies } from "../components/copies";
import { CopyButton } from "../components/copy-button";
import { DangerZone } from "../components/danger-zone";
import { Facts } from "../components/facts";
import { SettingsSection } from "../components/limits-editor";
import { LiveSessions } from "../components/live-sessions";
import { Loading } from "../components/loading";
import { Logins } from "../components/logins";
import { LiveOperation } from "../components/live-operation";
import { PolicyModeSection } from "../components/policy-mode";
import { PageHead } from "../components/page-head";
import { ProblemAlert } from "../components/problem-alert";
import { Section } from "../components/section";
import { StateBadge } from "../components/state-badge";
import { SchemaSection, TenantAudit, TenantOperations } from "../components/tenant-history";
import { TenantMetrics } from "../components/tenant-metrics";
import { SwitchDialog } from "../components/switch-dialog";
import { Time } from "../components/time";
import { actionsIn } from "../lib/states";

/** One tenant: what it is, what happens to it, what can be done with it. */
export function TenantPage() {
  const { id = "" } = useParams();
  const tenant = useTenant(id);
  if (tenant.isPending) return <Loading what="the tenant" />;
  if (!tenant.data) {
    return (
      <>
        <PageHead title={id} />
        <ProblemAlert error={tenant.error} onRetry={() => void tenant.refetch()} />
      </>
    );
  }
  return <TenantView tenant={tenant.data} reload={() => void tenant.refetch()} />;
}

function TenantView({ tenant, reload }: { tenant: Tenant; reload: () => void }) {
  const status = useTenantStatus(tenant.id);
  const state = status.data?.observed_state ?? tenant.observed_state;
  useReloadWhenDone(isRunning(status.data) || state !== tenant.observed_state, reload);
  const shown = { ...tenant, observed_state: state };
  return (
    <>
      <PageHead
        title={tenant.display_name}
        description={
          <Flex gap="3" align="center" wrap="wrap">
            <span>{tenant.slug}</span>
            <StateBadge state={state} />
          </Flex>
        }
        actions={<Actions tenant={shown} />}
      />
      <Flex gap="5" align="flex-start" direction={{ base: "column", lg: "row" }}>
        <Stack gap="5" flex="3" w="full" minW="0">
          <Overview tenant={shown} />
          <Logins tenant={shown} />
          {state === "active" && <LiveSessions tenant={shown} />}
          <SettingsSection tenant={shown} />
          <TenantMetrics tenant={shown} />
          <TenantAudit tenant={shown} />
        </Stack>
        <Stack gap="5" flex="2" w="full" minW="0">
          <LastOperation status={status} />
          <SchemaSection tenant={shown} />
          <PolicyModeSection tenant={shown} />
          {state === "active" && <Copies tenant={shown} />}
          <TenantOperations tenant={shown} />
          <DangerZone tenant={shown} />
        </Stack>
      </Flex>
    </>
  );
}

/** Reads the tenant again when what was running has ended. */
function useReloadWhenDone(running: boolean, reload: () => void) {
  const before = useRef(running);
  useEffect(() => {
    if (before.current && !running) reload();
    before.current = running;
  }, [running, reload]);
}

function Actions({ tenant }: { tenant: Tenant }) {
  const [open, setOpen] = useState<"suspend" | "resume" | null>(null);
  const can = actionsIn(tenant.observed_state);
  return (
    <>
      {can.suspend && (
        <ActionButton action="tenant.suspend" variant="outline" size="sm" onClick={() => setOpen("suspend")}>
          <CirclePause aria-hidden /> Suspend
        </ActionButton>
      )}
      {can.resume && (
        <ActionButton action="tenant.resume" variant="outline" size="sm" onClick={() => setOpen("resume")}>
          <CirclePlay aria-hidden /> Resume
        </ActionButton>
      )}
      {open && <SwitchDialog tenant={tenant} action={open} onClose={() => setOpen(null)} />}
    </>
  );
}

function Overview({ tenant }: { tenant: Tenant }) {
  const moving = tenant.desired_state !== tenant.observed_state;
  return (
    <Section
      title="Overview"
      actions={
        <Flex gap="4" textStyle="sm">
          <Link asChild variant="underline" color="colorPalette.fg">
            <RouterLink to={`/audit?tenant=${tenant.id}`}>Audit trail</RouterLink>
          </Link>
          <Link asChild variant="underline" color="colorPalette.fg">
            <RouterLink to={`/playground?tenant=${tenant.slug}`}>Try a statement</RouterLink>
          </Link>
        </Flex>
      }
    >
      <Facts
        facts={[
          ["Id", <CopyableId key="id" id={tenant.id} />],
          ["Slug", tenant.slug],
          ["Wanted state", moving && tenant.desired_state],
          ["Cluster", tenant.cluster],
          ["Created", <Time key="created" iso={tenant.created_at} />],
          ["Last changed", <Time key="updated" iso={tenant.updated_at} />],
          ["Purged after", tenant.purge_after && <Time key="purge" iso={tenant.purge_after} />],
        ]}
      />
    </Section>
  );
}

function LastOperation({ status }: { status: ReturnType<typeof useTenantStatus> }) {
  const operation = status.data?.operation;
  return (
    <Section title="Last operation">
      {status.isPending && <Loading what="the operation" />}
      {status.isError && <ProblemAlert error={status.error} onRetry={() => void status.refetch()} />}
      {operation?.state === "running" && (
        <Text color="fg.muted" mb="3">
          You can leave this page: it goes on.
        </Text>
      )}
      {operation && <LiveOperation key={operation.id} operation={operation} />}
      {status.data && !operation && <Text color="fg.muted">Nothing has been done to this tenant.</Text>}
    </Section>
  );
}

function CopyableId({ id }: { id: string }) {
  return (
    <Flex as="span" gap="2" align="center" wrap="wrap">
      <Text as="span" fontFamily="mono" textStyle="sm" minW="0" overflowWrap="anywhere">
        {id}
      </Text>
      <CopyButton value={id} what="the id" />
    </Flex>
  );
}
