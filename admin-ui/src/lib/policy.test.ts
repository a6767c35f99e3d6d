import { beforeEach, describe, expect, it, vi } from "vitest";
import { approvalFor, forgetApproval, rememberApproval, wishOf } from "./approvals";
import { CASES, readCases, withCase } from "./cases";
import { differs, draftOf, lineRange, readDraft } from "./policy-draft";

const texts = { epoch: 3, model: "m", policy: "p, a\np, b" };

describe("a policy's draft", () => {
  it("begins as the policy in force and differs once it is changed", () => {
    const draft = draftOf(texts);
    expect(draft).toEqual({ base: 3, model: "m", policy: "p, a\np, b" });
    expect(differs(draft, texts)).toBe(false);
    expect(differs({ ...draft, model: "n" }, texts)).toBe(true);
  });
  it.each([null, "", "{", '{"base":0,"model":"","policy":""}', '{"base":1,"policy":""}'])(
    "is none where %j was kept",
    (text) => expect(readDraft(text)).toBeNull(),
  );
  it("comes back as it was kept", () =>
    expect(readDraft(JSON.stringify(draftOf(texts)))).toEqual(draftOf(texts)));
  it.each([
    [1, [0, 4]],
    [2, [5, 9]],
    [9, [5, 9]],
    [0, [0, 4]],
  ])("has line %i at %j", (line, range) => expect(lineRange(texts.policy, line)).toEqual(range));
});

describe("kept cases", () => {
  const one = { tenant: "acme", as: "app", sql: "SELECT 1", expected: "permit" };
  it("hold a question once", () =>
    expect(withCase([one], { ...one, expected: "deny" })).toEqual([{ ...one, expected: "deny" }]));
  it("are bounded", () => {
    const many = Array.from({ length: CASES }, (_, i) => ({ ...one, sql: `SELECT ${i}` }));
    const more = withCase(many, { ...one, sql: "new" });
    expect(more).toHaveLength(CASES);
    expect(more.at(-1)?.sql).toBe("new");
  });
  it.each([null, "x", '[{"sql":1}]'])("are none where %j was kept", (text) =>
    expect(readCases(text)).toEqual([]),
  );
});

describe("approvals", () => {
  beforeEach(() => {
    const kept = new Map<string, string>();
    vi.stubGlobal("window", {
      sessionStorage: {
        getItem: (key: string) => kept.get(key) ?? null,
        setItem: (key: string, text: string) => kept.set(key, text),
        removeItem: (key: string) => kept.delete(key),
      },
    });
  });
  it("belong to the same request, whatever its confirmation", () => {
    rememberApproval(wishOf("DELETE", "/tenants/a", "?confirm=1&reason=x", undefined), "id-1");
    expect(approvalFor(wishOf("DELETE", "/tenants/a", "?confirm=2&reason=x", undefined))).toBe("id-1");
    expect(approvalFor(wishOf("DELETE", "/tenants/a", "?confirm=2&reason=y", undefined))).toBeUndefined();
    expect(approvalFor(wishOf("DELETE", "/tenants/b", "?confirm=2&reason=x", undefined))).toBeUndefined();
    forgetApproval("id-1");
    expect(approvalFor(wishOf("DELETE", "/tenants/a", "?confirm=2&reason=x", undefined))).toBeUndefined();
  });
  it("tell bodies apart", () =>
    expect(wishOf("POST", "/policy", "", { policy: "a" })).not.toBe(
      wishOf("POST", "/policy", "", { policy: "b" }),
    ));
});
