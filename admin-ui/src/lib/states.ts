/** What the API's states mean for people. */

/** States that end by themselves. */
export function isMoving(state: string): boolean {
  return ["pending", "provisioning", "verifying", "purging"].includes(state);
}

/** What may be done to a tenant in a state; the control plane decides, this only saves a refusal. */
export function actionsIn(state: string) {
  const open = state === "active" || state === "suspended";
  const deleted = state === "deleted";
  return {
    suspend: state === "active",
    resume: state === "suspended",
    change: open,
    rollBack: open,
    logins: open,
    remove: open || state === "failed",
    undelete: deleted,
    purge: deleted,
  };
}

/** `no_right` as "no right". */
export function words(code: string): string {
  return code.replaceAll("_", " ");
}
