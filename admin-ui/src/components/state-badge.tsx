import { Badge } from "@chakra-ui/react";
import {
  Ban,
  CircleCheck,
  CircleDashed,
  CirclePause,
  CircleX,
  Cog,
  ShieldCheck,
  Trash2,
  type LucideIcon,
} from "lucide-react";
import type { ObservedState } from "../api/schemas";

interface Look {
  icon: LucideIcon;
  color: string;
}

/** Three signs each: the word, an icon and a colour. */
const STATES: Record<ObservedState, Look> = {
  pending: { icon: CircleDashed, color: "blue" },
  provisioning: { icon: Cog, color: "blue" },
  verifying: { icon: ShieldCheck, color: "blue" },
  active: { icon: CircleCheck, color: "green" },
  suspended: { icon: CirclePause, color: "orange" },
  failed: { icon: CircleX, color: "red" },
  deleted: { icon: Trash2, color: "gray" },
};

const UNKNOWN: Look = { icon: CircleDashed, color: "gray" };

/** A tenant's state. */
export function StateBadge({ state }: { state: ObservedState }) {
  // A newer control plane may know more states than this page.
  return <LookBadge look={STATES[state] ?? UNKNOWN} text={state} />;
}

/** Whether something was permitted. */
export function DecisionBadge({ allowed, text }: { allowed: boolean; text: string }) {
  const look = allowed ? { icon: CircleCheck, color: "green" } : { icon: Ban, color: "red" };
  return <LookBadge look={look} text={text} />;
}

function LookBadge({ look, text }: { look: Look; text: string }) {
  const Icon = look.icon;
  return (
    <Badge colorPalette={look.color} variant="subtle" size="md" whiteSpace="nowrap">
      <Icon aria-hidden size="1em" /> {text}
    </Badge>
  );
}
