/**
 * A control plane made of memory, for working on the UI without PostgreSQL. Listens on 127.0.0.1, port 8080 or
 * PORT. Signs in with any token but "bad". Never part of a build.
 */
import { createServer } from "node:http";
import { events, explanations, newTenant, operation, tenants } from "./data.mjs";

const PORT = Number(process.env.PORT ?? 8080);
/** Largest request body, in bytes. */
const BODY_BYTES = 1 << 20;
/** How long each step of a creation takes, in milliseconds. */
const STEP_MS = 1_200;
const STEPS = ["reserve", "provision", "verify", "activate"];
const CREATED = Object.fromEntries(STEPS.map((step) => [step, "done"]));

const operations = new Map();

class Refusal extends Error {
  constructor(status, title, detail) {
    super(detail);
    this.problem = { type: "about:blank", title, status, detail };
  }
}

const url = (tenant, login, secret) => `postgres://${login}:${secret}@127.0.0.1:6432/${tenant.slug}`;
const newSecret = () => crypto.randomUUID().replaceAll("-", "");

function find(idOrSlug) {
  const tenant = tenants.find((t) => t.id === idOrSlug || t.slug === idOrSlug);
  if (tenant) return tenant;
  throw new Refusal(404, "There is no such thing", `there is no tenant with the id or slug "${idOrSlug}"`);
}

function page(items, query, fallback) {
  const limit = Number(query.get("limit") ?? fallback);
  const from = Number(query.get("cursor") ?? 0);
  const next = from + limit < items.length ? String(from + limit) : null;
  return { items: items.slice(from, from + limit), next_cursor: next };
}

function listTenants(query) {
  const state = query.get("state");
  const q = (query.get("q") ?? "").toLowerCase();
  const fits = (t) =>
    (state ? t.observed_state === state : t.observed_state !== "deleted") &&
    (t.slug.includes(q) || t.display_name.toLowerCase().includes(q));
  return page(tenants.filter(fits), query, 50);
}

function listAudit(query) {
  const exact = ["action", "decision", "actor"];
  const fits = (e) =>
    exact.every((name) => !query.get(name) || e[name] === query.get(name)) &&
    (!query.get("tenant") || [e.tenant, e.tenant_id].includes(query.get("tenant"))) &&
    (!query.get("since") || e.at >= query.get("since")) &&
    (!query.get("until") || e.at < query.get("until"));
  return page(events.filter(fits), query, 50);
}

/** Walks a new tenant through its steps. */
function create({ slug, display_name }) {
  if (tenants.some((t) => t.slug === slug))
    throw new Refusal(409, "The state does not allow this", `the slug "${slug}" is taken`);
  const now = new Date().toISOString();
  const tenant = newTenant(
    slug,
    display_name ?? slug,
    "provisioning",
    `mock${newSecret().slice(0, 16)}`,
    now,
  );
  tenants.unshift(tenant);
  STEPS.forEach((_, done) => setTimeout(() => walk(tenant, done), done * STEP_MS));
  setTimeout(() => walk(tenant, STEPS.length), STEPS.length * STEP_MS);
  walk(tenant, 0);
  const credentials = tenant.logins.map(({ name, kind }) => {
    const secret = newSecret();
    return { login: name, kind, secret, url: url(tenant, name, secret) };
  });
  return { tenant, operation: operations.get(tenant.id), credentials };
}

function walk(tenant, done) {
  const state = (i) => (i < done ? "done" : i === done ? "running" : "pending");
  const steps = Object.fromEntries(STEPS.map((step, i) => [step, state(i)]));
  operations.set(tenant.id, operation(tenant, "create", steps));
  if (done === STEPS.length) tenant.observed_state = tenant.desired_state = "active";
}

function move(tenant, state, kind) {
  tenant.desired_state = tenant.observed_state = state;
  operations.set(tenant.id, operation(tenant, kind, { [kind]: "done" }));
  return { tenant };
}

function rollback(tenant, body) {
  if (body.dry_run) {
    const effects = [
      `All connections of "${tenant.slug}" are ended and new ones are refused.`,
      `The slug "${tenant.slug}" becomes free for another tenant.`,
      `Its schema t_${tenant.id} and all its data stay until they are purged; nothing is dropped now.`,
    ];
    return { effects, confirm: "yes" };
  }
  if (body.confirm !== "yes") throw new Refusal(409, "The state does not allow this", "ask anew");
  return { ...move(tenant, "deleted", "rollback"), operation: operations.get(tenant.id) };
}

function status(tenant) {
  const failed = { reserve: "done", provision: "done", verify: "failed", activate: "skipped" };
  const last =
    operations.get(tenant.id) ??
    operation(tenant, "create", tenant.observed_state === "failed" ? failed : CREATED);
  const { id, slug, desired_state, observed_state } = tenant;
  return { tenant_id: id, slug, desired_state, observed_state, operation: last };
}

function tenantRoute(method, tenant, [action, login], body) {
  switch (`${method} ${action ?? ""}`) {
    case "GET ":
      return tenant;
    case "GET status":
      return status(tenant);
    case "POST suspend":
      return move(tenant, "suspended", "suspend");
    case "POST resume":
      return move(tenant, "active", "resume");
    case "POST rollback":
      return rollback(tenant, body);
    case "POST logins": {
      const secret = newSecret();
      return { login, secret, url: url(tenant, login, secret) };
    }
  }
  throw new Refusal(404, "There is no such thing", "there is no such endpoint");
}

function route(method, path, query, body) {
  const [name, id, ...rest] = path.split("/").map(decodeURIComponent);
  if (name === "tenants" && id) return tenantRoute(method, find(id), rest, body);
  switch (`${method} ${name}`) {
    case "GET tenants":
      return listTenants(query);
    case "POST tenants":
      return create(body);
    case "GET audit":
      return listAudit(query);
    case "GET templates":
      return { items: [{ name: "default", version: 1, checksum: "mock" }] };
    case "GET whoami":
      return { subject: "dev-admin" };
    case "POST explain":
      return /t_\w+\./.test(body.sql) ? explanations.deny : explanations.permit(`t_${find(body.tenant).id}`);
  }
  throw new Refusal(404, "There is no such thing", "there is no such endpoint below /api/v1");
}

async function readBody(request) {
  let text = "";
  for await (const chunk of request) {
    text += chunk;
    if (text.length > BODY_BYTES) throw new Refusal(413, "Too large", "the body is too large");
  }
  return text ? JSON.parse(text) : {};
}

async function answer(request) {
  const { pathname, searchParams } = new URL(request.url, "http://mock");
  const token = (request.headers.authorization ?? "").replace("Bearer ", "");
  if (!token || token === "bad") throw new Refusal(401, "A valid token is needed", "the token is not valid");
  return route(request.method, pathname.replace("/api/v1/", ""), searchParams, await readBody(request));
}

createServer(async (request, response) => {
  const send = (status, kind, body) =>
    response.writeHead(status, { "Content-Type": kind }).end(JSON.stringify(body));
  try {
    send(request.method === "POST" ? 201 : 200, "application/json", await answer(request));
  } catch (error) {
    const problem = error.problem ?? new Refusal(500, "It failed", String(error.message)).problem;
    send(problem.status, "application/problem+json", problem);
  }
}).listen(PORT, "127.0.0.1", () => console.log(`mock control plane on http://127.0.0.1:${PORT}/api/v1`));
