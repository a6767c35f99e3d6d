import { Alert, Badge, Box, Code, Flex, Text } from "@chakra-ui/react";
import { Pin } from "lucide-react";
import { useState } from "react";
import { useLive, useTerminate, type Live, type LivePool, type LiveSession } from "../api/live";
import type { Tenant } from "../api/schemas";
import { words } from "../lib/states";
import { span } from "../lib/time";
import { ActionButton } from "./action-button";
import { ConfirmDialog } from "./confirm-dialog";
import { CopyButton } from "./copy-button";
import { DataTable, type Columns } from "./data-table";
import { Facts } from "./facts";
import { Loading } from "./loading";
import { ProblemAlert } from "./problem-alert";
import { Section } from "./section";
import { SessionBadge } from "./state-badge";
import { Time } from "./time";

interface Row extends LiveSession {
  onEnd: () => void;
}

const SESSIONS: Columns<Row> = [
  { id: "login", header: "Login", cell: ({ row }) => row.original.login },
  { id: "state", header: "State", cell: ({ row }) => <SessionBadge state={row.original.state} /> },
  { id: "pins", header: "Pinned by", cell: ({ row }) => <Pins session={row.original} /> },
  { id: "client", header: "Client", cell: ({ row }) => row.original.client },
  { id: "since", header: "Connected", cell: ({ row }) => <Time iso={row.original.connected_at} /> },
  {
    id: "transactions",
    header: "Transactions",
    cell: ({ row }) => row.original.transactions.toLocaleString(),
  },
  {
    id: "end",
    header: "End",
    cell: ({ row: { original } }) => (
      <ActionButton
        action="session.terminate"
        size="xs"
        variant="outline"
        colorPalette="red"
        aria-label={`End the session of ${original.login} from ${original.client}`}
        onClick={original.onEnd}
      >
        End
      </ActionButton>
    ),
  },
];

const POOLS: Columns<LivePool> = [
  { id: "login", header: "Login", cell: ({ row }) => row.original.login },
  { id: "mode", header: "Mode", cell: ({ row }) => row.original.mode },
  {
    id: "clients",
    header: "Clients",
    cell: ({ row: { original } }) =>
      `${original.clients.toLocaleString()}${original.waiting > 0 ? `, ${original.waiting.toLocaleString()} waiting ${span(original.longest_wait_ms)}` : ""}`,
  },
  {
    id: "servers",
    header: "Server connections",
    cell: ({ row: { original } }) =>
      `${original.servers_used.toLocaleString()} in use, ${original.servers_idle.toLocaleString()} idle`,
  },
  { id: "paused", header: "Paused", cell: ({ row }) => (row.original.paused ? "yes" : "no") },
  { id: "proxy", header: "Proxy", cell: ({ row }) => row.original.proxy },
];

/** Who is connected as the tenant now, and its pools; sessions can be ended. */
export function LiveSessions({ tenant }: { tenant: Tenant }) {
  const live = useLive(tenant.id);
  const [ending, setEnding] = useState<LiveSession | null>(null);
  return (
    <Section title="Sessions and pools">
      {live.isPending && <Loading what="sessions" />}
      {live.isError && <ProblemAlert error={live.error} onRetry={() => void live.refetch()} />}
      {live.data && !live.isError && <Now live={live.data} onEnd={setEnding} />}
      {ending && <EndDialog tenant={tenant} session={ending} onClose={() => setEnding(null)} />}
    </Section>
  );
}

function Now({ live, onEnd }: { live: Live; onEnd: (session: LiveSession) => void }) {
  const silent = live.proxies.filter(({ reachable }) => !reachable);
  if (live.proxies.length === 0) {
    return (
      <Text color="fg.muted">
        No proxy&apos;s console is named (<Code size="sm">[control_plane] consoles</Code>), so none can be
        asked.
      </Text>
    );
  }
  return (
    <Box>
      {silent.map(({ address, error }) => (
        <Alert.Root key={address} status="warning" role="status" mb="3">
          <Alert.Indicator />
          <Alert.Content overflowWrap="anywhere">
            <Alert.Title>The proxy at {address} does not answer</Alert.Title>
            <Alert.Description>{error}. Its sessions are not shown.</Alert.Description>
          </Alert.Content>
        </Alert.Root>
      ))}
      <Text textStyle="sm" color="fg.muted" mb="3" role="status">
        {live.sessions.length.toLocaleString()} sessions, {live.servers.length.toLocaleString()} server
        connections{live.more && "; there are more than are shown"}.
      </Text>
      {live.sessions.length > 0 && (
        <DataTable
          label="Live sessions"
          columns={SESSIONS}
          rows={live.sessions.map((session) => ({ ...session, onEnd: () => onEnd(session) }))}
          rowId={(session) => session.id}
          hideBelow={{ since: "md", transactions: "lg", client: "md" }}
          dense
        />
      )}
      {live.pools.length > 0 && (
        <Box mt="4">
          <DataTable
            label="Pools"
            columns={POOLS}
            rows={live.pools}
            rowId={(pool) => `${pool.proxy} ${pool.login} ${pool.mode}`}
            hideBelow={{ proxy: "lg", paused: "md", mode: "md" }}
            dense
          />
        </Box>
      )}
    </Box>
  );
}

/** Why a server connection stays with its session; a plain dash where none does. */
function Pins({ session }: { session: LiveSession }) {
  if (session.pinned_by.length === 0) return <>–</>;
  return (
    <Flex gap="1" wrap="wrap">
      {session.pinned_by.map((pin) => (
        <Badge key={pin} variant="subtle" colorPalette="orange" whiteSpace="nowrap">
          <Pin aria-hidden size="1em" /> {words(pin)}
        </Badge>
      ))}
    </Flex>
  );
}

interface EndDialogProps {
  tenant: Tenant;
  session: LiveSession;
  onClose: () => void;
}

function EndDialog({ tenant, session, onClose }: EndDialogProps) {
  const end = useTerminate(tenant.id);
  return (
    <ConfirmDialog
      title={`End a session of ${tenant.slug}`}
      verb="End it"
      deed={end}
      onConfirm={() => end.mutate(session.id, { onSuccess: onClose })}
      onClose={onClose}
    >
      <Text>
        Its client gets an error (57P01), and a transaction that is open is rolled back. It may connect again.
      </Text>
      <Facts
        facts={[
          ["Login", session.login],
          ["Client", session.client],
          ["Proxy", session.proxy],
          ["Server process", session.server_pid],
          [
            "Session",
            <Flex key="id" as="span" gap="2" align="center" wrap="wrap">
              <Text as="span" fontFamily="mono" textStyle="sm" overflowWrap="anywhere">
                {session.id}
              </Text>
              <CopyButton value={session.id} what="the session's id" />
            </Flex>,
          ],
        ]}
      />
    </ConfirmDialog>
  );
}
