/** The same request for a terminal. */
import type { CreateTenant } from "../api/schemas";

const SAFE = /^[A-Za-z0-9_./:=@%+,-]+$/;

/** One argument of a POSIX shell, quoted where it must be. */
export function shellQuote(text: string): string {
  return SAFE.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** `palisade tenant create …` for a request. */
export function asPalisade(body: CreateTenant): string {
  const parts = ["palisade", "tenant", "create", body.slug];
  if (body.display_name) parts.push("--name", shellQuote(body.display_name));
  if (body.template) parts.push("--template", shellQuote(body.template));
  if (body.plan) parts.push("--plan", shellQuote(body.plan));
  return parts.join(" ");
}

/** The request as curl. The token comes from the environment, so that it does not stand in a shell's history. */
export function asCurl(origin: string, body: CreateTenant, idempotencyKey: string): string {
  return [
    `curl --fail-with-body ${shellQuote(`${origin}/api/v1/tenants`)}`,
    `  -H "Authorization: Bearer $PALISADE_ADMIN_TOKEN"`,
    `  -H 'Content-Type: application/json'`,
    `  -H ${shellQuote(`Idempotency-Key: ${idempotencyKey}`)}`,
    `  -d ${shellQuote(JSON.stringify(body))}`,
  ].join(" \\\n");
}
