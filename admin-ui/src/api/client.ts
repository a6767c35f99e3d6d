/** One request to the control plane: adds the token, reads JSON, turns everything else into an ApiError. */
import { currentSession, endSession } from "../lib/session";
import type { Problem } from "./schemas";

/** Longest wait for an answer, in milliseconds: more than the control plane's own limit of 60 s. */
const ANSWER_MS = 65_000;

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
  method?: "GET" | "POST" | "PATCH" | "DELETE";
  query?: Record<string, string | number | undefined>;
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  /** A token to try instead of the session's; a refusal then ends no session. */
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

/** An answer that is a success; a session that is refused ends. */
async function accepted(path: string, call: Call, limit: AbortSignal): Promise<Response> {
  const token = call.token ?? currentSession().token;
  const response = await send(path, call, token, limit);
  if (response.ok) return response;
  const problem = await readProblem(response);
  const ours = call.token === undefined && token === currentSession().token;
  if (problem.status === 401 && ours) endSession(problem.detail || problem.title);
  throw new ApiError(problem);
}

async function send(path: string, call: Call, token: string | null, limit: AbortSignal): Promise<Response> {
  const headers: Record<string, string> = { Accept: "application/json", ...call.headers };
  if (token) headers.Authorization = `Bearer ${token}`;
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
    return (await response.json()) as T;
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
