/** Filters that live in the address, so that a view can be bookmarked, shared and gone back to. */
import { useMemo } from "react";
import { useSearchParams } from "react-router";

export function useFilters<K extends string>(names: readonly K[]) {
  const [params, setParams] = useSearchParams();
  const text = params.toString();
  const values = useMemo(() => {
    const read = new URLSearchParams(text);
    return Object.fromEntries(names.map((name) => [name, read.get(name) ?? ""])) as Record<K, string>;
  }, [text, names]);

  /** Changes filters and begins at the first page again. */
  const setFilters = (changes: Partial<Record<K, string>>, replace = false) =>
    setParams((before) => changedParams(before, changes as Record<string, string>), { replace });

  const cursor = params.get("cursor") ?? undefined;
  const setCursor = (next: string | null) =>
    setParams((before) => {
      const after = new URLSearchParams(before);
      if (next === null) after.delete("cursor");
      else after.set("cursor", next);
      return after;
    });

  const active = names.some((name) => values[name] !== "");
  return { values, setFilters, cursor, setCursor, active };
}

/** The parameters after a change: empty values leave, and so does the cursor. */
export function changedParams(before: URLSearchParams, changes: Record<string, string>): URLSearchParams {
  const after = new URLSearchParams(before);
  after.delete("cursor");
  for (const [name, value] of Object.entries(changes)) {
    if (value) after.set(name, value);
    else after.delete(name);
  }
  return after;
}
