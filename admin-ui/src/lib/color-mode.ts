/** Light or dark: the system's choice until the reader makes one. */
import { useSyncExternalStore } from "react";

const STORAGE_KEY = "palisade.color-mode";
type Mode = "light" | "dark";

const system = () => window.matchMedia?.("(prefers-color-scheme: dark)");
const listeners = new Set<() => void>();
let chosen: Mode | null = stored();

function stored(): Mode | null {
  try {
    const mode = localStorage.getItem(STORAGE_KEY);
    return mode === "light" || mode === "dark" ? mode : null;
  } catch {
    return null;
  }
}

function currentMode(): Mode {
  return chosen ?? (system()?.matches ? "dark" : "light");
}

function apply() {
  const mode = currentMode();
  document.documentElement.classList.toggle("dark", mode === "dark");
  document.documentElement.classList.toggle("light", mode === "light");
  document.documentElement.style.colorScheme = mode;
  listeners.forEach((listener) => listener());
}

/** Shows the mode and follows the system. Call once, before the first render. */
export function startColorMode() {
  system()?.addEventListener("change", apply);
  apply();
}

export function useColorMode() {
  const mode = useSyncExternalStore((listener) => {
    listeners.add(listener);
    return () => listeners.delete(listener);
  }, currentMode);
  const toggle = () => {
    chosen = mode === "dark" ? "light" : "dark";
    try {
      localStorage.setItem(STORAGE_KEY, chosen);
    } catch {
      // Forbidden storage: the choice lasts until the page is loaded anew.
    }
    apply();
  };
  return { mode, toggle };
}
