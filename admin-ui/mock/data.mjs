/** What the mock control plane begins with. */

const LOGINS = ["app", "owner", "readonly"].map((kind) => ({ name: kind, kind, enabled: true }));
const START = Date.parse("2026-01-15T08:00:00Z");
const at = (seconds) => new Date(START + seconds * 1000).toISOString();

export function newTenant(slug, display_name, state, id, created_at) {
  return {
    id,
    slug,
    display_name,
    cluster: "main",
    template: "default",
    template_version: 1,
    plan: "default",
    desired_state: state === "failed" ? "active" : state,
    observed_state: state,
    pool_mode: "transaction",
    created_at,
    updated_at: created_at,
    logins: LOGINS,
  };
}

const NAMED = [
  ["acme", "Acme", "active"],
  ["globex", "Globex Corporation", "suspended"],
  ["initech", "A company with quite a long name that has to break somewhere, Initech", "failed"],
  ["umbrella", "Umbrella", "deleted"],
  ["hooli", "Hooli", "verifying"],
];

export const tenants = [
  ...NAMED,
  ...Array.from({ length: 40 }, (_, i) => [`tenant-${i}`, `Tenant ${i}`, "active"]),
].map(([slug, name, state], i) => newTenant(slug, name, state, `mock${String(i).padStart(16, "a")}`, at(i)));

export function operation(tenant, kind, states) {
  const steps = Object.entries(states).map(([name, state], i) => ({
    name,
    state,
    started_at: state === "pending" ? null : at(i),
    finished_at: state === "done" ? at(i + 0.1 * (i + 1)) : null,
    detail: state === "failed" ? "the fingerprint differs in table users" : null,
  }));
  const failed = Object.values(states).includes("failed");
  const running = Object.values(states).includes("running");
  return {
    id: crypto.randomUUID(),
    tenant_id: tenant.id,
    kind,
    state: failed ? "failed" : running ? "running" : "succeeded",
    requested_by: "dev-admin",
    created_at: at(0),
    finished_at: running ? null : at(3),
    error: failed ? { message: "the tenant could not be verified; everything was removed" } : null,
    steps,
  };
}

const DENIAL = {
  action: "statement",
  decision: "deny",
  result: "denied",
  plane: "data",
  role_kind: "app",
  verb: "SELECT",
  shape: "SELECT name, secret FROM t_somebody.users WHERE id = $1",
  object: "relation t_somebody.users select",
  reason: "foreign_schema",
  sqlstate: "42P01",
  client_addr: "127.0.0.1:51234",
  session: "b2f1",
  epoch: 3,
};

const CHANGE = { action: "tenant.create", decision: "allow", result: "ok", plane: "control" };

export const events = Array.from({ length: 120 }, (_, i) => {
  const tenant = tenants[i % 3];
  const what = i % 4 === 0 ? CHANGE : DENIAL;
  return {
    v: 1,
    id: crypto.randomUUID(),
    at: at(86_400 - i * 60),
    class: "A",
    actor: what === CHANGE ? "dev-admin" : "app",
    tenant_id: tenant.id,
    tenant: tenant.slug,
    ...what,
  };
});

export const explanations = {
  permit: (schema) => ({
    verdict: "permit",
    rewritten: `SELECT * FROM ${schema}.users`,
    denial: null,
    witnessed: true,
    statements: [statement("public", "@own", "readonly, relation, @own, *, select, allow", null)],
  }),
  deny: {
    verdict: "deny",
    rewritten: null,
    witnessed: true,
    denial: {
      sqlstate: "42P01",
      message: 'relation "t_somebody.users" does not exist',
      reason: "foreign_schema",
      hint: null,
      rule: null,
    },
    statements: [statement("t_somebody", "@foreign", null, "foreign_schema")],
  },
};

function statement(schema, resolved, rule, reason) {
  const access = { class: "relation", action: "select", schema, name: "users", resolved, rule, reason };
  return { verb: "SELECT", kind: "read", effects: [], accesses: [{ ...access, reader: "grammar" }] };
}
