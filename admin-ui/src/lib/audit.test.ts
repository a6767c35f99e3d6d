import { describe, expect, it } from "vitest";
import type { AuditEvent } from "../api/schemas";
import { barsOf, pivots } from "./audit";
import { bytes } from "./bytes";

describe("counts by time", () => {
  const items = [
    { at: "2026-01-01T00:01:00Z", allow: 2, deny: 1 },
    { at: "2026-01-01T00:03:00Z", allow: 0, deny: 4 },
  ];
  it("become bars without gaps, over the time that was asked for", () => {
    const bars = barsOf({ bucket_seconds: 60, items }, "2026-01-01T00:00:00Z", "2026-01-01T00:04:30Z");
    expect(bars.map(({ allowed, denied }) => [allowed, denied])).toEqual([
      [0, 0],
      [2, 1],
      [0, 0],
      [0, 4],
      [0, 0],
    ]);
    expect(bars[1]?.from).toBe("2026-01-01T00:01:00.000Z");
  });
  it("are none where nothing was counted, and never too many", () => {
    expect(barsOf({ bucket_seconds: 60, items: [] }, "", "")).toEqual([]);
    expect(barsOf({ bucket_seconds: 1, items }, "2020-01-01T00:00:00Z", "")).toHaveLength(120);
  });
});

describe("an event", () => {
  const event = {
    id: "1",
    at: "2026-01-01T00:00:00Z",
    actor: "app",
    action: "statement",
    decision: "deny",
    session: "s",
    operation: "o",
    epoch: 3,
  } as unknown as AuditEvent;
  it("leads to its session, operation and policy epoch", () => {
    const queries = pivots(event).map(({ query }) => query);
    expect(queries).toEqual(expect.arrayContaining(["session=s", "operation=o", "epoch=3", "actor=app"]));
  });
});

describe("bytes", () => {
  it.each([
    [undefined, "–"],
    [0, "0 byte"],
    [8_192, "8.2 kB"],
    [12_000_000, "12 MB"],
  ])("%s are shown as %s", (count, text) => {
    expect(bytes(count)).toBe(text);
  });
});
