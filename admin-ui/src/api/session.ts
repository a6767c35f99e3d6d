/** Signing in and out. */
import { beginSession, endSession } from "../lib/session";
import { ApiError, request } from "./client";
import type { components } from "./types";

type SessionAnswer = components["schemas"]["Session"];

/** Changes a token into a session: the control plane sets the cookie. */
export async function signIn(token: string): Promise<void> {
  const { csrf } = await request<SessionAnswer>("/session", { method: "POST", token });
  beginSession(csrf ?? null);
}

/** Looks whether the browser has a session. Throws where the control plane does not say. */
export async function findSession(): Promise<void> {
  try {
    // No token of ours stands behind the look: a refusal means that nobody is signed in, not that a session ended.
    const { csrf } = await request<SessionAnswer>("/session", { token: "" });
    beginSession(csrf ?? null);
  } catch (error) {
    if (!(error instanceof ApiError) || error.problem.status !== 401) throw error;
    endSession();
  }
}

/** Ends the session in the control plane and here; says so where the control plane could not be told. */
export async function signOut(): Promise<void> {
  try {
    await request<void>("/session", { method: "DELETE" });
    endSession();
  } catch (error) {
    const why = error instanceof Error ? error.message : "";
    endSession(`The control plane did not end the session, which lasts on in this browser. ${why}`);
  }
}

/** Where a browser begins to sign in with the organisation's provider, and comes back to. */
export const providerUrl = (path: string) => `/auth/login?return_to=${encodeURIComponent(path)}`;

/** Whether the control plane has a provider to sign in with: then the way in leads away. */
export async function hasProvider(signal?: AbortSignal): Promise<boolean> {
  const { type } = await fetch(providerUrl("/"), { redirect: "manual", signal });
  return type === "opaqueredirect";
}
