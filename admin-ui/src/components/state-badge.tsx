import { Badge } from "@chakra-ui/react";
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  Cog,
  Flame,
  ShieldAlert,
  ShieldCheck,
  Trash2,
  type LucideIcon,
} from "lucide-react";
import type { OBSERVED_STATES } from "../api/schemas";

interface Look {
  icon: LucideIcon;
  color: string;
}

/** Three signs each: the word, an icon and a colour. */
const STATES: Record<(typeof OBSERVED_STATES)[number], Look> = {
  pending: { icon: CircleDashed, color: "blue" },
  provisioning: { icon: Cog, color: "blue" },
  verifying: { icon: ShieldCheck, color: "blue" },
  active: { icon: CircleCheck, color: "green" },
  suspended: { icon: CirclePause, color: "orange" },
  failed: { icon: CircleX, color: "red" },
  deleted: { icon: Trash2, color: "gray" },
  purging: { icon: Flame, color: "red" },
};

const UNKNOWN: Look = { icon: CircleDashed, color: "gray" };

/** A tenant's state. */
export function StateBadge({ state }: { state: string }) {
  // A newer control plane may know more states than this page.
  return <LookBadge look={(STATES as Record<string, Look>)[state] ?? UNKNOWN} text={state} />;
}

/** Whether something was permitted. */
export function DecisionBadge({ allowed, text }: { allowed: boolean; text: string }) {
  const look = allowed ? { icon: CircleCheck, color: "green" } : { icon: Ban, color: "red" };
  return <LookBadge look={look} text={text} />;
}

/** How a run stands: of an operation, a step, a migration or one of its tenants. */
const RUNS: Record<string, Look> = {
  pending: { icon: CircleDashed, color: "gray" },
  running: { icon: Cog, color: "blue" },
  succeeded: { icon: CircleCheck, color: "green" },
  done: { icon: CircleCheck, color: "green" },
  finished: { icon: CircleCheck, color: "green" },
  paused: { icon: CirclePause, color: "orange" },
  failed: { icon: CircleX, color: "red" },
  aborted: { icon: Ban, color: "red" },
  cancelled: { icon: Ban, color: "gray" },
  passed: { icon: ShieldCheck, color: "green" },
  leaked: { icon: ShieldAlert, color: "red" },
  skipped: { icon: CircleDashed, color: "gray" },
};

/** What a client's session does. */
const SESSIONS: Record<string, Look> = {
  idle: { icon: CircleDashed, color: "gray" },
  waiting: { icon: CirclePause, color: "orange" },
  active: { icon: Cog, color: "blue" },
};

export function SessionBadge({ state }: { state: string }) {
  return <LookBadge look={SESSIONS[state] ?? UNKNOWN} text={state} />;
}

export function RunBadge({ state }: { state: string }) {
  return <LookBadge look={RUNS[state] ?? UNKNOWN} text={state} />;
}

function LookBadge({ look, text }: { look: Look; text: string }) {
  const Icon = look.icon;
  return (
    <Badge colorPalette={look.color} variant="subtle" size="md" whiteSpace="nowrap">
      <Icon aria-hidden size="1em" /> {text}
    </Badge>
  );
}
