import { CloseButton, Drawer, Flex, Link, Portal, Stack, Text } from "@chakra-ui/react";
import { Link as RouterLink } from "react-router";
import type { AuditEvent } from "../api/schemas";
import { inWords, pivots } from "../lib/audit";
import { words } from "../lib/states";
import { CodeBox } from "./code-box";
import { Facts } from "./facts";
import { DecisionBadge } from "./state-badge";
import { Time } from "./time";

interface AuditDrawerProps {
  /** The event to show; null closes the drawer. */
  event: AuditEvent | null;
  onClose: () => void;
}

/** Everything that is known about one event. */
export function AuditDrawer({ event, onClose }: AuditDrawerProps) {
  return (
    <Drawer.Root
      open={event !== null}
      onOpenChange={({ open }) => !open && onClose()}
      size="md"
      unmountOnExit
      lazyMount
    >
      <Portal>
        <Drawer.Backdrop />
        <Drawer.Positioner>
          <Drawer.Content>
            <Drawer.Header>
              <Drawer.Title>{event?.action ?? "Event"}</Drawer.Title>
            </Drawer.Header>
            <Drawer.Body>{event && <EventFacts event={event} onFollow={onClose} />}</Drawer.Body>
            <Drawer.CloseTrigger asChild>
              <CloseButton size="sm" aria-label="Close" />
            </Drawer.CloseTrigger>
          </Drawer.Content>
        </Drawer.Positioner>
      </Portal>
    </Drawer.Root>
  );
}

interface EventFactsProps {
  event: AuditEvent;
  /** Told when a link to other events is followed. */
  onFollow: () => void;
}

function EventFacts({ event, onFollow }: EventFactsProps) {
  return (
    <Stack gap="5">
      <Text>{inWords(event)}</Text>
      <Pivots event={event} onFollow={onFollow} />
      <Facts
        facts={[
          ["Time", <Time key="at" iso={event.at} absolute />],
          ["Time (UTC)", event.at],
          ["Decision", <DecisionBadge key="d" allowed={event.decision === "allow"} text={event.decision} />],
          ["Result", event.result],
          ["Actor", event.actor],
          ["Tenant", <TenantLink key="t" event={event} />],
          ["Plane", event.plane === "data" ? "data (proxy)" : "control"],
          ["Class", event.class],
          ["Role kind", event.role_kind],
          ["Client", event.client_addr],
          ["Session", event.session],
          ["Operation", event.operation],
          ["Verb", event.verb],
          ["Object", event.object],
          ["Reason", event.reason && words(event.reason)],
          ["Rule", event.rule],
          ["Policy epoch", event.epoch],
          ["SQLSTATE", event.sqlstate],
          ["Id", event.id],
        ]}
      />
      {event.shape && <CodeBox label="Statement, without its values" text={event.shape} wrap />}
      <CodeBox label="JSON" text={JSON.stringify(event, null, 2)} />
    </Stack>
  );
}

function TenantLink({ event }: { event: AuditEvent }) {
  const text = event.tenant ?? event.tenant_id;
  if (!text) return <>–</>;
  if (!event.tenant_id) return <>{text}</>;
  return (
    <Link asChild variant="underline" color="colorPalette.fg">
      <RouterLink to={`/tenants/${event.tenant_id}`}>{text}</RouterLink>
    </Link>
  );
}

/** Other events that belong to this one; the list behind the drawer is narrowed to them. */
function Pivots({ event, onFollow }: EventFactsProps) {
  return (
    <Flex gap="3" wrap="wrap" textStyle="sm">
      {pivots(event).map(({ text, query }) => (
        <Link key={text} asChild variant="underline" color="colorPalette.fg">
          <RouterLink to={`/audit?${query}`} onClick={onFollow}>
            {text}
          </RouterLink>
        </Link>
      ))}
    </Flex>
  );
}
