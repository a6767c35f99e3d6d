/** A policy that somebody is writing: it outlives a reload of the page. */
import { useState } from "react";
import { z } from "zod";
import type { ActivePolicy } from "../api/policy";
import { readStored, writeStored } from "./stored";

const STORAGE_KEY = "palisade.policy-draft";

const draftSchema = z.object({
  /** The epoch that the writing began with. */
  base: z.number().int().positive(),
  model: z.string(),
  policy: z.string(),
});

export type PolicyDraft = z.infer<typeof draftSchema>;

export const draftOf = ({
  epoch,
  model,
  policy,
}: Pick<ActivePolicy, "epoch" | "model" | "policy">): PolicyDraft => ({
  base: epoch,
  model,
  policy,
});

/** A kept draft; null where there is none or it cannot be read. */
export function readDraft(text: string | null): PolicyDraft | null {
  if (text === null) return null;
  try {
    return draftSchema.parse(JSON.parse(text));
  } catch {
    return null;
  }
}

/** Whether a draft says something else than the policy. */
export function differs(draft: PolicyDraft, active: Pick<ActivePolicy, "model" | "policy">): boolean {
  return draft.model !== active.model || draft.policy !== active.policy;
}

/** Where a line of a text begins and ends, counted in characters; lines count from 1. */
export function lineRange(text: string, line: number): [start: number, end: number] {
  const lines = text.split("\n");
  const at = Math.min(Math.max(line, 1), lines.length) - 1;
  const start = lines.slice(0, at).reduce((sum, before) => sum + before.length + 1, 0);
  return [start, start + (lines[at]?.length ?? 0)];
}

/** The draft that this browser tab keeps; null where nothing is being written. */
export function useDraft(): [PolicyDraft | null, (draft: PolicyDraft | null) => void] {
  const [draft, setDraft] = useState(() => readDraft(readStored("sessionStorage", STORAGE_KEY)));
  const change = (next: PolicyDraft | null) => {
    setDraft(next);
    writeStored("sessionStorage", STORAGE_KEY, next && JSON.stringify(next));
  };
  return [draft, change];
}
