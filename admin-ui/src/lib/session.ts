/**
 * Who is signed in. The session is a cookie that scripts cannot read; this holds its CSRF token, in memory only, and
 * asks for it again when the page is loaded.
 */
import { useSyncExternalStore } from "react";

/** `unknown` until the control plane has said whether there is a session. */
export type SessionState = "unknown" | "out" | "in";

export interface Session {
  state: SessionState;
  /** Sent with every request that changes something. */
  csrf: string | null;
  /** Why the last session ended, for the sign-in page. */
  notice: string | null;
}

const listeners = new Set<() => void>();
let session: Session = { state: "unknown", csrf: null, notice: null };

function change(next: Session) {
  session = next;
  listeners.forEach((listener) => listener());
}

export function currentSession(): Session {
  return session;
}

export function beginSession(csrf: string | null) {
  change({ state: "in", csrf, notice: null });
}

export function endSession(notice: string | null = null) {
  change({ state: "out", csrf: null, notice });
}

export function useSession(): Session {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentSession);
}
