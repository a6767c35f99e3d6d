/** A tenant's limits: their names, units and bounds. */
import { z } from "zod";
import type { Limits } from "../api/schemas";

export interface LimitField {
  name: keyof Limits;
  label: string;
  unit: string;
}

export const LIMIT_FIELDS: LimitField[] = [
  { name: "max_client_connections", label: "Client connections", unit: "" },
  { name: "max_server_connections", label: "Server connections", unit: "" },
  { name: "query_queue_clients", label: "Clients in the queue", unit: "" },
  { name: "transactions_per_second", label: "Transactions per second", unit: "" },
  { name: "query_wait_timeout_ms", label: "Wait for a server", unit: "ms" },
  { name: "statement_timeout_ms", label: "Time of a statement", unit: "ms" },
  { name: "idle_in_transaction_timeout_ms", label: "Idle in a transaction", unit: "ms" },
  { name: "client_idle_timeout_ms", label: "Idle client", unit: "ms" },
  { name: "max_message_bytes", label: "Size of a message", unit: "bytes" },
];

/** A typed number, or nothing for "the plan's". The control plane knows the bounds and says them. */
const typedNumber = z
  .string()
  .trim()
  .regex(/^\d{0,15}$/, "A whole number, or empty for the plan's.");

export const limitsSchema = z.record(z.string(), typedNumber);

/** The limits as text to edit. */
export function limitsAsText(limits: Limits): Record<string, string> {
  return Object.fromEntries(LIMIT_FIELDS.map(({ name }) => [name, limits[name]?.toString() ?? ""]));
}

/** The text as limits; empty ones are the plan's. */
export function limitsFromText(text: Record<string, string>): Limits {
  const given = LIMIT_FIELDS.filter(({ name }) => text[name]?.trim());
  return Object.fromEntries(given.map(({ name }) => [name, Number(text[name])]));
}

/** The limits that are set, for people. */
export function limitFacts(limits: Limits): [label: string, value: string][] {
  return LIMIT_FIELDS.flatMap(({ name, label, unit }) => {
    const value = limits[name];
    if (value === null || value === undefined) return [];
    return [[label, `${value.toLocaleString()}${unit && ` ${unit}`}`] as [string, string]];
  });
}
