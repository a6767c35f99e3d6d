/** Views of a list that people name and keep, in this browser. */
import { z } from "zod";
import { readStored, writeStored } from "./stored";

/** Most views that are kept of one list. */
export const VIEWS = 20;
/** Longest name, in characters. */
export const NAME_CHARS = 40;

const schema = z
  .array(z.object({ name: z.string().min(1).max(NAME_CHARS), query: z.string().max(2_000) }))
  .max(VIEWS);

export type View = z.infer<typeof schema>[number];

export function parseViews(text: string | null): View[] {
  try {
    return schema.parse(JSON.parse(text ?? "[]"));
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
