/** Audit events for people: in words, counted, and drawn over time. */
import type { Histogram } from "../api/live";
import type { AuditEvent } from "../api/schemas";
import { words } from "./states";

/** An event as a sentence. */
export function inWords(event: AuditEvent): string {
  const who = `${event.actor}${event.client_addr ? ` from ${event.client_addr}` : ""}`;
  const where = event.tenant ?? event.tenant_id;
  const what =
    event.action === "statement" ? `a ${event.verb ?? ""} statement`.replace("  ", " ") : event.action;
  const verdict = event.decision === "allow" ? "was allowed" : "was denied";
  const why = event.reason ? ` because of ${words(event.reason)}` : "";
  const on = event.object ? ` on ${event.object}` : "";
  return `${who} ${verdict} ${what}${on}${where ? ` in ${where}` : ""}${why}. Result: ${event.result}.`;
}

export interface Pivot {
  text: string;
  /** Filters, as the audit page's address has them. */
  query: string;
}

/** Ways from an event to others that the API can filter by. */
export function pivots(event: AuditEvent): Pivot[] {
  const { actor, tenant_id, action, at, session, operation, epoch, fingerprint, reason } = event;
  const around = Date.parse(at);
  const minute = 60_000;
  const span = {
    since: new Date(around - minute).toISOString(),
    until: new Date(around + minute).toISOString(),
  };
  const pivot = (text: string, filter: Record<string, string>) => ({
    text,
    query: new URLSearchParams(filter).toString(),
  });
  return [
    ...(session ? [pivot("Same session", { session })] : []),
    ...(operation ? [pivot("Same operation", { operation })] : []),
    ...(epoch != null ? [pivot(`Policy epoch ${epoch}`, { epoch: String(epoch) })] : []),
    ...(fingerprint ? [pivot("Same statement shape", { fingerprint })] : []),
    ...(reason ? [pivot("Same reason", { reason })] : []),
    pivot("Same actor", { actor }),
    ...(tenant_id ? [pivot("Same tenant", { tenant: tenant_id })] : []),
    pivot("Same action", { action }),
    pivot("The minute before and after", span),
  ];
}

/** The values of a field with how often each stands there, the most frequent first. */
export function facet(
  events: AuditEvent[],
  field: "action" | "decision" | "actor" | "tenant",
): [value: string, count: number][] {
  const counts = new Map<string, number>();
  for (const event of events) {
    const value = event[field];
    if (value) counts.set(value, (counts.get(value) ?? 0) + 1);
  }
  return [...counts].sort(([a, n], [b, m]) => m - n || a.localeCompare(b));
}

export interface Bar {
  /** RFC 3339: where the bar begins, and where the next one does. */
  from: string;
  to: string;
  allowed: number;
  denied: number;
}

/** Most bars that are drawn. */
const MOST_BARS = 120;

/** Counts by time as bars without gaps, from `since` to `until` (RFC 3339) where they are given. */
export function barsOf({ bucket_seconds, items }: Histogram, since: string, until: string): Bar[] {
  const width = bucket_seconds * 1_000;
  const bucket = (iso: string) => Math.floor(Date.parse(iso) / width);
  const counted = new Map(items.map(({ at, allow, deny }) => [bucket(at), { allow, deny }]));
  const known = [...counted.keys()];
  const from = since ? bucket(since) : Math.min(...known);
  const to = until ? bucket(until) : Math.max(...known);
  if (known.length === 0 || !Number.isFinite(from) || !Number.isFinite(to)) return [];
  const first = Math.max(from, to - MOST_BARS + 1);
  return Array.from({ length: to - first + 1 }, (_, i) => ({
    from: new Date((first + i) * width).toISOString(),
    to: new Date((first + i + 1) * width).toISOString(),
    allowed: counted.get(first + i)?.allow ?? 0,
    denied: counted.get(first + i)?.deny ?? 0,
  }));
}
