import { describe, expect, it } from "vitest";
import type { Operation } from "../api/schemas";
import { EVENT_CHARS, EventReader } from "./sse";
import { stepMillis, withEvent } from "./timeline";

describe("server-sent events", () => {
  it("are read however they are cut", () => {
    const text = ": hello\n\nid: 1\nevent: step\ndata: a\ndata: b\n\nid: 2\r\ndata: c\r\n\r\n";
    for (const size of [1, 2, 3, 7, text.length]) {
      const reader = new EventReader();
      const events = [];
      for (let i = 0; i < text.length; i += size) events.push(...reader.read(text.slice(i, i + size)));
      expect(events).toEqual([
        { id: "1", kind: "step", data: "a\nb" },
        { id: "2", kind: "message", data: "c" },
      ]);
    }
  });
  it("have a largest size", () => {
    expect(() => new EventReader().read("x".repeat(EVENT_CHARS + 1))).toThrow("too long");
  });
});

describe("a timeline", () => {
  const operation: Operation = {
    id: "o",
    tenant_id: "t",
    kind: "create",
    state: "running",
    requested_by: "me",
    created_at: "2026-01-01T00:00:00Z",
    finished_at: null,
    error: null,
    steps: [],
  };
  const at = "2026-01-01T00:00:01Z";
  const step = (state: string, second: number) => ({
    operation_id: "o",
    name: "verify",
    state,
    at: `2026-01-01T00:00:0${second}Z`,
    detail: null,
  });
  it("grows by its events and ends with them", () => {
    let timeline = withEvent({ operation, log: [] }, "step", step("running", 1));
    expect(timeline.operation.steps[0]).toMatchObject({ state: "running", finished_at: null });
    timeline = withEvent(timeline, "step", step("done", 3));
    expect(timeline.operation.steps).toHaveLength(1);
    expect(timeline.operation.steps.map(stepMillis)).toEqual([2_000]);
    const end = { operation_id: "o", tenant_id: "t", kind: "create", state: "failed", at };
    timeline = withEvent(timeline, "operation", { ...end, error: { message: "why" } });
    expect(timeline.operation).toMatchObject({ state: "failed", error: { message: "why" }, finished_at: at });
    expect(timeline.log.map(({ text }) => text)).toEqual([
      "verify running",
      "verify done",
      "create failed: why",
    ]);
  });
  it.each([
    ["step", { ...step("done", 1), operation_id: "other" }],
    ["step", null],
    ["step", { operation_id: "o" }],
    ["rubbish", step("done", 1)],
  ])("leaves %s %j aside", (kind, data) => {
    const before = { operation, log: [] };
    expect(withEvent(before, kind, data)).toBe(before);
  });
  it("does not say 0 ms where no time was noted", () => {
    expect(stepMillis({ name: "a", state: "done", started_at: at, finished_at: at })).toBeNull();
  });
});
