/** Statements of the playground kept as tests, in this browser. */
import { useState } from "react";
import { z } from "zod";
import { readStored, writeStored } from "./stored";

const STORAGE_KEY = "palisade.playground-cases";
/** Most cases that are kept. */
export const CASES = 100;

const caseSchema = z.object({
  tenant: z.string(),
  as: z.string(),
  sql: z.string(),
  /** The verdict that it had, and shall have. */
  expected: z.string(),
});

export type Case = z.infer<typeof caseSchema>;

/** The kept cases; none where they cannot be read. */
export function readCases(text: string | null): Case[] {
  if (text === null) return [];
  try {
    return z.array(caseSchema).max(CASES).parse(JSON.parse(text));
  } catch {
    return [];
  }
}

const key = ({ tenant, as, sql }: Case) => JSON.stringify([tenant, as, sql]);

/** The cases with one more, which takes the place of an equal question; the oldest leave where there are too many. */
export function withCase(cases: Case[], added: Case): Case[] {
  return [...cases.filter((known) => key(known) !== key(added)), added].slice(-CASES);
}

export function useCases() {
  const [cases, setCases] = useState(() => readCases(readStored("localStorage", STORAGE_KEY)));
  const keep = (next: Case[]) => {
    setCases(next);
    writeStored("localStorage", STORAGE_KEY, JSON.stringify(next));
  };
  return {
    cases,
    add: (added: Case) => keep(withCase(cases, added)),
    remove: (gone: Case) => keep(cases.filter((known) => known !== gone)),
  };
}
