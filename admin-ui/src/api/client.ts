/** One request to the control plane: adds what the session needs, reads JSON, turns everything else into an ApiError. */
import { approvalFor, forgetApproval, rememberApproval, wishOf } from "../lib/approvals";
import { currentSession, endSession } from "../lib/session";
import type { Problem } from "./schemas";

/** Longest wait for an answer, in milliseconds: more than the control plane's own limit of 60 s. */
const ANSWER_MS = 65_000;
/** The problem's type where a request needs a second person. */
export const SECOND_PERSON = "/problems/second-person";

/** A request that did not succeed, with what the control plane (or we) say about it. */
export class ApiError extends Error {
  readonly problem: Problem;

  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = "ApiError";
    this.problem = problem;
  }
}

export interface Call {
  method?: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** A token to try instead of the session, or none; a refusal then ends no session. */
  token?: string;
}

/** Calls a path below `/api/v1`. Throws ApiError, or AbortError when `signal` fired. */
export async function request<T>(path: string, call: Call = {}): Promise<T> {
  return readJson<T>(await accepted(path, call, AbortSignal.timeout(ANSWER_MS)));
}

/** Calls a path whose answer is a stream that lasts: only `signal` ends it. */
export async function openStream(path: string, call: Call & { signal: AbortSignal }): Promise<Response> {
  return accepted(path, call, call.signal);
}

function withApproval(call: Call, approval: string | undefined): Call {
  return approval ? { ...call, headers: { ...call.headers, "X-Approval": approval } } : call;
}

/** An answer that is a success; a session that is refused ends. */
async function accepted(path: string, call: Call, limit: AbortSignal): Promise<Response> {
  const session = currentSession();
  const wish = wishOf(call.method ?? "GET", path, queryString(call.query), call.body);
  const approval = call.method ? approvalFor(wish) : undefined;
  const response = await send(path, withApproval(call, approval), limit);
  if (response.ok) {
    if (approval) forgetApproval(approval);
    return response;
  }
  const problem = await readProblem(response);
  if (problem.type === SECOND_PERSON) {
    if (problem.approval) rememberApproval(wish, problem.approval);
    else problem.approval = approval;
  }
  const ours = call.token === undefined && session === currentSession();
  if (problem.status === 401 && ours) endSession(problem.detail || problem.title);
  throw new ApiError(problem);
}

async function send(path: string, call: Call, limit: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...call.headers };
  const { csrf } = currentSession();
  if (call.token) headers.Authorization = `Bearer ${call.token}`;
  else if (csrf && call.method) headers["X-CSRF-Token"] = csrf;
  if (call.body !== undefined) headers["Content-Type"] = "application/json";
  try {
    return await fetch(`/api/v1${path}${queryString(call.query)}`, {
      method: call.method ?? "GET",
      headers,
      body: call.body === undefined ? undefined : JSON.stringify(call.body),
      signal: call.signal ? AbortSignal.any([call.signal, limit]) : limit,
    });
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw new ApiError(unreachable(limit.aborted));
  }
}

function unreachable(timedOut: boolean): Problem {
  const detail = timedOut
    ? `It did not answer within ${ANSWER_MS / 1000} seconds.`
    : "Check that it runs and that you are connected, then try again.";
  return { type: "about:blank", title: "The control plane cannot be reached", status: 0, detail };
}

/** The parts that have a value, as a query string; empty text counts as no value. */
export function queryString(query: Call["query"] = {}): string {
  const parts = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
  const text = new URLSearchParams(parts.map(([name, value]) => [name, String(value)])).toString();
  return text && `?${text}`;
}

async function readJson<T>(response: Response): Promise<T> {
  try {
    return (response.status === 204 ? undefined : await response.json()) as T;
  } catch {
    throw new ApiError({
      type: "about:blank",
      title: "The answer cannot be read",
      status: response.status,
      detail: "The control plane sent something that is not JSON.",
    });
  }
}

/** The answer's problem details, or the closest thing to them. */
async function readProblem(response: Response): Promise<Problem> {
  const fallback: Problem = {
    type: "about:blank",
    title: response.statusText || `The control plane answered ${response.status}`,
    status: response.status,
    detail: "",
  };
  try {
    const body: unknown = await response.json();
    return isProblem(body) ? { ...body, trace: traceOf(response) } : fallback;
  } catch {
    return fallback;
  }
}

/** The request's id in the control plane's logs, where it tells one. */
function traceOf(response: Response): string | undefined {
  const { headers } = response;
  return headers.get("x-request-id") ?? headers.get("traceparent")?.split("-")[1] ?? undefined;
}

function isProblem(body: unknown): body is Problem {
  if (typeof body !== "object" || body === null) return false;
  const { title, status, detail } = body as Record<string, unknown>;
  return typeof title === "string" && typeof status === "number" && typeof detail === "string";
}

/** Any thrown value as a problem, for display. */
export function problemOf(error: unknown): Problem {
  if (error instanceof ApiError) return error.problem;
  const detail = error instanceof Error ? error.message : "";
  return { type: "about:blank", title: "Something went wrong in this page", status: 0, detail };
}
