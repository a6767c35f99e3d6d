import { describe, expect, it } from "vitest";
import { asCurl, asPalisade, shellQuote } from "./command";
import { anotherTry, draftSchema, keyedRequest, NEW_WIZARD, readWizard, requestOf } from "./draft";
import { changedParams } from "./filters";
import { limitsAsText, limitsFromText, limitsSchema } from "./limits";
import { actionsIn, isMoving, words } from "./states";
import { duration, relativeTime, toIso, toLocalInput } from "./time";

describe("the same request for a terminal", () => {
  it("quotes what a shell would read", () => {
    expect(shellQuote("acme-1")).toBe("acme-1");
    expect(shellQuote("O'Brien & Söhne; $(id)")).toBe("'O'\\''Brien & Söhne; $(id)'");
  });
  it("shows no token", () => {
    const body = { slug: "acme", display_name: "A; B" };
    expect(asPalisade(body)).toBe("palisade tenant create acme --name 'A; B'");
    expect(asCurl("http://127.0.0.1:8080", body, "k")).toContain("Bearer $PALISADE_ADMIN_TOKEN");
  });
});

describe("a draft", () => {
  const draft = (slug: string) => draftSchema.safeParse({ slug, display_name: "", template: "", plan: "" });
  it.each(["acme", "a1", "a-b-c", "a".repeat(48)])("takes the slug %s", (slug) => {
    expect(draft(slug).success).toBe(true);
  });
  it.each(["", "1a", "-a", "a-", "a--b", "Acme", "a b", "postgres", "a".repeat(49), "ä"])(
    "refuses the slug %s",
    (slug) => {
      expect(draft(slug).success).toBe(false);
    },
  );
  it("limits texts in bytes, not characters", () => {
    const parse = (display_name: string) =>
      draftSchema.safeParse({ slug: "a", display_name, template: "", plan: "" }).success;
    expect(parse("ä".repeat(100))).toBe(true);
    expect(parse("ä".repeat(101))).toBe(false);
    expect(parse("two\nlines")).toBe(false);
  });
  it("leaves out what is empty", () => {
    expect(requestOf({ slug: "a", display_name: "", template: "t", plan: "" })).toEqual({
      slug: "a",
      template: "t",
    });
  });
  it("keeps its key while it stays the same", () => {
    const first = keyedRequest(null, { slug: "a" });
    expect(keyedRequest(first, { slug: "a" })).toBe(first);
    expect(keyedRequest(first, { slug: "b" }).key).not.toBe(first.key);
    expect(first.key).toMatch(/^[0-9a-f]{32}$/);
  });
});

describe("a wizard that was left", () => {
  const draft = { slug: "a", display_name: "", template: "", plan: "" };
  const request = keyedRequest(null, { slug: "a" });
  it("comes back with its key", () => {
    const saved = { draft, step: 2, request };
    expect(readWizard(JSON.stringify(saved))).toEqual(saved);
  });
  it.each([null, "", "{", "[]", JSON.stringify({ draft, step: 7, request: null })])(
    "begins anew from %s",
    (text) => {
      expect(readWizard(text)).toEqual(NEW_WIZARD);
    },
  );
  it("does not come back to a confirmation of nothing", () => {
    expect(readWizard(JSON.stringify({ draft, step: 2, request: null })).step).toBe(1);
  });
  it("asks anew under another key", () => {
    expect(anotherTry(request).key).not.toBe(request.key);
    expect(anotherTry(request).body).toEqual(request.body);
  });
});

describe("limits", () => {
  it("survive the way through a form", () => {
    const limits = { max_client_connections: 20, statement_timeout_ms: 1_000 };
    expect(limitsFromText(limitsAsText(limits))).toEqual(limits);
    expect(limitsSchema.safeParse({ max_client_connections: "1.5" }).success).toBe(false);
  });
});

describe("filters in the address", () => {
  it("begin at the first page again", () => {
    const before = new URLSearchParams("state=active&cursor=xyz&q=a");
    expect(changedParams(before, { q: "", state: "failed" }).toString()).toBe("state=failed");
  });
});

describe("states", () => {
  it("say what may be done", () => {
    expect(actionsIn("active")).toMatchObject({ suspend: true, resume: false, rollBack: true, purge: false });
    expect(actionsIn("deleted")).toMatchObject({ rollBack: false, undelete: true, purge: true });
    expect(isMoving("purging")).toBe(true);
    expect(isMoving("verifying")).toBe(true);
    expect(words("no_right")).toBe("no right");
  });
});

describe("times", () => {
  it.each([
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:00.042Z", "42 ms"],
    ["2026-01-01T00:00:00Z", "2026-01-01T00:00:01.5Z", "1.5 s"],
    ["2026-01-01T00:00:00Z", "2026-01-01T00:02:05Z", "2 min 5 s"],
    ["2026-01-01T00:00:00Z", null, null],
    ["2026-01-01T00:00:01Z", "2026-01-01T00:00:00Z", null],
  ])("from %s to %s is %s", (from, to, want) => {
    expect(duration(from, to)).toBe(want);
  });
  it("are told from now", () => {
    const now = Date.parse("2026-01-01T12:00:00Z");
    expect(relativeTime("2026-01-01T09:00:00Z", now)).toBe("3 hours ago");
    expect(relativeTime("2026-01-01T11:59:58Z", now)).toBe("now");
    expect(relativeTime("2026-01-31T12:00:00Z", now)).toBe("next month");
  });
  it("survive the way through an input", () => {
    expect(toLocalInput(toIso("2026-05-06T07:08:09"))).toBe("2026-05-06T07:08:09");
    expect(toIso("nonsense")).toBe("");
  });
});
