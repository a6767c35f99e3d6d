import { describe, expect, it } from "vitest";
import type { IsolationRun, Wall } from "../api/isolation";
import { matrix, progressOf, verdict } from "./isolation";

const wall = (name: string, seconds: number, rows: Wall["rows"]): Wall => ({
  wall: name,
  seconds,
  statements: 12,
  leaking_answers: 0,
  rows,
  victim_p50_ms: null,
  victim_p99_ms: null,
});
const run = (changes: Partial<IsolationRun>): IsolationRun => ({
  id: "1",
  state: "running",
  wish: { seconds: 10, tenants: 3, attackers: 4, rate: 200, each_wall: true },
  requested_by: "ann",
  cancelled_by: null,
  started_at: "2026-01-01T00:00:00Z",
  ended_at: null,
  error: null,
  leaks: null,
  walls: [],
  report: false,
  ...changes,
});

describe("a leak test", () => {
  it("has a row for each class and a column for each set of walls", () => {
    const walls = [
      wall("both walls", 10, [
        { attacker: "mutator", class: "corpus", attacks: 5, leaks: 0 },
        { attacker: "generator", class: "relation", attacks: 7, leaks: 0 },
      ]),
      wall("database alone", 2, [{ attacker: "generator", class: "relation", attacks: 3, leaks: 1 }]),
    ];
    expect(matrix(walls).map(({ attacker, cells }) => [attacker, ...cells])).toEqual([
      ["generator", { attacks: 7, leaks: 0 }, { attacks: 3, leaks: 1 }],
      ["mutator", { attacks: 5, leaks: 0 }, null],
    ]);
    expect(progressOf(run({ walls }))).toBeCloseTo(0.6);
  });
  it("says what it shows, and that a failed one shows nothing", () => {
    expect(verdict(run({ state: "passed", walls: [wall("both walls", 10, [])] }))).toMatch(/12 attacks/);
    expect(verdict(run({ state: "leaked", leaks: 3 }))).toMatch(/3 distinct leaks/);
    expect(verdict(run({ state: "failed" }))).toMatch(/says nothing about leaks/);
    expect(verdict(run({ cancelled_by: "bob" }))).toMatch(/cancelled/);
  });
});
