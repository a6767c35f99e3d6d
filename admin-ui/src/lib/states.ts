/** What the API's states mean for people. */
import type { ObservedState } from "../api/schemas";

export const OBSERVED_STATES: ObservedState[] = [
  "pending",
  "provisioning",
  "verifying",
  "active",
  "suspended",
  "failed",
  "deleted",
];

/** States that end by themselves. */
export function isMoving(state: ObservedState): boolean {
  return state === "pending" || state === "provisioning" || state === "verifying";
}

/** What may be done to a tenant in a state; the control plane decides, this only saves a refusal. */
export function actionsIn(state: ObservedState) {
  const open = state === "active" || state === "suspended";
  return { suspend: state === "active", resume: state === "suspended", rollBack: open, rotate: open };
}

/** `no_right` as "no right". */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}
