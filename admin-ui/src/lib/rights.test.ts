import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { refusal, RIGHTS, type Action } from "./rights";

/** The endpoint behind each action. */
const ENDPOINTS: Record<Action, string> = {
  "tenant.create": "POST /tenants",
  "tenant.change": "PATCH /tenants/{id}",
  "tenant.suspend": "POST /tenants/{id}/suspend",
  "tenant.resume": "POST /tenants/{id}/resume",
  "login.create": "POST /tenants/{id}/logins",
  "login.remove": "DELETE /tenants/{id}/logins/{login}",
  "login.rotate": "POST /tenants/{id}/logins/{login}/rotate",
  "tenant.rollback": "POST /tenants/{id}/rollback",
  "tenant.delete": "DELETE /tenants/{id}",
  "tenant.undelete": "POST /tenants/{id}/undelete",
  "operation.cancel": "POST /operations/{id}/cancel",
  "migration.start": "POST /migrations",
  "migration.pause": "POST /migrations/{id}/pause",
  "migration.resume": "POST /migrations/{id}/resume",
  "migration.abort": "POST /migrations/{id}/abort",
  "migration.retry": "POST /migrations/{id}/retry",
  "policy.activate": "POST /policy",
  "policy.restore": "POST /policy/rollback",
  "tenant.policy-mode": "PUT /tenants/{id}/policy-mode",
  "tenant.export": "POST /tenants/{id}/export",
  "tenant.clone": "POST /tenants/{id}/clone",
  "token.manage": "POST /tokens",
  "session.terminate": "DELETE /tenants/{id}/sessions/{session}",
  "isolation.start": "POST /isolation-runs",
  "audit.read": "GET /audit",
};
const ROLES = ["viewer", "auditor", "operator", "security", "admin", "owner"];

/** Endpoint → the roles that the control plane lets in. */
const golden = new Map(
  readFileSync(new URL("../../../control-plane/rights.golden", import.meta.url), "utf8")
    .split("\n")
    .filter((line) => line && !line.startsWith("#"))
    .map((line) => line.trim().split(/\s+/))
    .map(([method, path, ...roles]) => [`${method} ${path}`, roles.filter((role) => ROLES.includes(role))]),
);
const known = ROLES.filter((role) => [...golden.values()].some((roles) => roles.includes(role)));

describe("rights", () => {
  it.each(Object.entries(ENDPOINTS).filter(([, endpoint]) => golden.has(endpoint)))(
    "of %s are the control plane's for %s",
    (action, endpoint) => {
      const here = known.filter((role) => refusal([role], action as Action) === null);
      expect(here).toEqual(golden.get(endpoint));
    },
  );
  it("cover what the control plane has", () => {
    expect(Object.keys(ENDPOINTS)).toEqual(expect.arrayContaining(Object.keys(RIGHTS)));
    expect(golden.size).toBeGreaterThan(20);
  });
  it("say why", () => {
    expect(refusal(["viewer"], "tenant.create")).toMatch(/operator or admin .*viewer/);
    expect(refusal([], "audit.read")).toMatch(/nobody/);
    expect(refusal(undefined, "audit.read")).not.toBeNull();
  });
});
