/**
 * Who is signed in. The token lives in this tab only: sessionStorage survives a reload and ends with the tab.
 */
import { useSyncExternalStore } from "react";

const STORAGE_KEY = "palisade.token";

export interface Session {
  /** The bearer token; null when nobody is signed in. */
  token: string | null;
  /** Why the last session ended, for the sign-in page. */
  notice: string | null;
}

const listeners = new Set<() => void>();
let session: Session = { token: stored(), notice: null };

/** A browser may forbid storage: then the session lasts until the page is loaded anew. */
function stored(): string | null {
  try {
    return sessionStorage.getItem(STORAGE_KEY);
  } catch {
    return null;
  }
}

function store(token: string | null) {
  try {
    if (token === null) sessionStorage.removeItem(STORAGE_KEY);
    else sessionStorage.setItem(STORAGE_KEY, token);
  } catch {
    // Forbidden storage: the session stays in memory.
  }
}

function change(next: Session) {
  session = next;
  store(next.token);
  listeners.forEach((listener) => listener());
}

export function currentSession(): Session {
  return session;
}

export function beginSession(token: string) {
  change({ token, notice: null });
}

export function endSession(notice: string | null = null) {
  change({ token: null, notice });
}

export function useSession(): Session {
  return useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentSession);
}
