/** Which approval a request waits for: the same request, made again, names it. Lives in this tab. */
import { readStored, writeStored } from "./stored";

const STORAGE_KEY = "palisade.approvals";
/** Most requests that are remembered; the oldest leaves first. */
const KEPT = 20;

type Waiting = [wish: string, approval: string][];

function kept(): Waiting {
  try {
    const read: unknown = JSON.parse(readStored("sessionStorage", STORAGE_KEY) ?? "[]");
    return Array.isArray(read) ? (read as Waiting) : [];
  } catch {
    return [];
  }
}

const keep = (waiting: Waiting) =>
  writeStored(
    "sessionStorage",
    STORAGE_KEY,
    waiting.length > 0 ? JSON.stringify(waiting.slice(-KEPT)) : null,
  );

/** A request as the control plane compares it: without its confirmation, which is good for minutes only. */
export function wishOf(method: string, path: string, query: string, body: unknown): string {
  const pairs = query.replace(/^\?/, "").split("&");
  const rest = pairs.filter((pair) => pair && !pair.startsWith("confirm="));
  const fields =
    typeof body === "object" && body !== null
      ? Object.entries(body).filter(([name]) => name !== "confirm" && name !== "dry_run")
      : [];
  return JSON.stringify([method, path, rest, fields]);
}

export function approvalFor(wish: string): string | undefined {
  return kept().find(([known]) => known === wish)?.[1];
}

export function rememberApproval(wish: string, approval: string) {
  keep([...kept().filter(([known]) => known !== wish), [wish, approval]]);
}

/** Forgets an approval that is spent, refused or too old: the request then asks for a new one. */
export function forgetApproval(approval: string) {
  keep(kept().filter(([, known]) => known !== approval));
}
