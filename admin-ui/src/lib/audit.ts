/** Audit events for people: in words, counted, drawn over time, and as a file. */
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
export function pivots({ actor, tenant_id, action, at }: AuditEvent): Pivot[] {
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

/** Events over the time between the first and the last, in equal bars. */
export function histogram(events: AuditEvent[], bars: number): Bar[] {
  const times = events.map(({ at }) => Date.parse(at)).filter((ms) => !Number.isNaN(ms));
  if (times.length === 0) return [];
  const first = Math.min(...times);
  const width = Math.max(1, Math.ceil((Math.max(...times) - first + 1) / bars));
  const result = Array.from({ length: bars }, (_, i) => ({
    from: new Date(first + i * width).toISOString(),
    to: new Date(first + (i + 1) * width).toISOString(),
    allowed: 0,
    denied: 0,
  }));
  for (const { at, decision } of events) {
    const bar = result[Math.floor((Date.parse(at) - first) / width)];
    if (bar) bar[decision === "allow" ? "allowed" : "denied"] += 1;
  }
  return result;
}

/** One event a line, as JSON. */
export function asJsonLines(events: AuditEvent[]): string {
  return events.map((event) => `${JSON.stringify(event)}\n`).join("");
}
