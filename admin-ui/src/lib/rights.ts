/**
 * Who may do what. The control plane decides (its table is `rights.golden`, which a test holds this copy to); this
 * only saves people a refusal, and says why something is not offered.
 */

const CHANGERS = ["operator", "admin", "owner"];
const CHIEFS = ["admin", "owner"];

export const RIGHTS = {
  "tenant.create": CHANGERS,
  "tenant.change": CHANGERS,
  "tenant.suspend": CHANGERS,
  "tenant.resume": CHANGERS,
  "login.create": CHANGERS,
  "login.remove": CHANGERS,
  "login.rotate": CHANGERS,
  "operation.cancel": CHANGERS,
  "tenant.rollback": CHIEFS,
  "tenant.delete": CHIEFS,
  "tenant.undelete": CHIEFS,
  "migration.start": CHIEFS,
  "migration.pause": CHANGERS,
  "migration.resume": CHIEFS,
  "migration.abort": CHIEFS,
  "migration.retry": CHIEFS,
  "policy.activate": CHIEFS,
  "policy.restore": CHIEFS,
  "tenant.policy-mode": CHIEFS,
  "tenant.export": CHIEFS,
  "tenant.clone": CHIEFS,
  "token.manage": ["security", ...CHIEFS],
  "session.terminate": CHANGERS,
  "isolation.start": ["security", ...CHIEFS],
  "audit.read": ["auditor", "security", ...CHIEFS],
} as const satisfies Record<string, readonly string[]>;

export type Action = keyof typeof RIGHTS;

/** Why the roles do not allow an action; null where they do. Unknown roles allow nothing. */
export function refusal(roles: readonly string[] | undefined, action: Action): string | null {
  const allowed: readonly string[] = RIGHTS[action];
  if (roles?.some((role) => allowed.includes(role))) return null;
  if (roles === undefined) return "Your roles are not known yet.";
  return `Needs the role ${allowed.join(" or ")}; you are ${roles.length > 0 ? roles.join(", ") : "nobody"}.`;
}
