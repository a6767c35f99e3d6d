/** Views of a list that people name and keep, in this browser. */
import { readStored, writeStored } from "./stored";

/** Most views that are kept of one list. */
export const VIEWS = 20;
/** Longest name, in characters. */
export const NAME_CHARS = 40;

/** Longest query, in characters. */
const QUERY_CHARS = 2_000;

export interface View {
  name: string;
  /** The filters, as the address has them. */
  query: string;
}

function isView(value: unknown): value is View {
  if (typeof value !== "object" || value === null) return false;
  const { name, query } = value as Record<string, unknown>;
  const named = typeof name === "string" && name !== "" && name.length <= NAME_CHARS;
  return named && typeof query === "string" && query.length <= QUERY_CHARS;
}

/** Views as they were kept; what does not fit is left out. */
export function parseViews(text: string | null): View[] {
  try {
    const kept: unknown = JSON.parse(text ?? "[]");
    return Array.isArray(kept) ? kept.filter(isView).slice(-VIEWS) : [];
  } catch {
    return [];
  }
}

/** The views with one more; the same name replaces, and the oldest leaves when there are too many. */
export function withView(views: View[], view: View): View[] {
  return [...views.filter(({ name }) => name !== view.name), view].slice(-VIEWS);
}

const keyOf = (list: string) => `palisade.views.${list}`;

export const readViews = (list: string) => parseViews(readStored("localStorage", keyOf(list)));

export const writeViews = (list: string, views: View[]) =>
  writeStored("localStorage", keyOf(list), JSON.stringify(views));
