// @vitest-environment jsdom
import { cleanup, screen, waitFor } from "@testing-library/react";
import userEvent from "@testing-library/user-event";
import { afterEach, describe, expect, it, vi } from "vitest";
import type { Tenant } from "../api/schemas";
import { IntegrityBadge } from "../components/integrity-badge";
import { LiveSessions } from "../components/live-sessions";
import { IsolationPage } from "../pages/isolation";
import { mockApi, show } from "./mock-api";

afterEach(() => {
  cleanup();
  vi.unstubAllGlobals();
});

const tenant = { id: "t1", slug: "acme" } as Tenant;
const SESSIONS = "GET /tenants/t1/sessions";
const session = {
  id: "0b0e",
  proxy: "10.0.0.1:6433",
  login: "app",
  state: "active",
  client: "10.1.1.1:5000",
  connected_at: "2026-01-01T00:00:00Z",
  since: "2026-01-01T00:00:00Z",
  waiting_ms: 0,
  server_pid: 7,
  pinned_by: ["advisory_lock"],
  transactions: 3,
  encrypted: true,
};
const live = {
  proxies: [
    { address: "10.0.0.1:6433", reachable: true, error: null },
    { address: "10.0.0.2:6433", reachable: false, error: "connection refused" },
  ],
  sessions: [session],
  pools: [],
  servers: [],
  more: false,
};

describe("live sessions", () => {
  it("say why one is pinned, and which proxy does not answer", async () => {
    mockApi("viewer", { [SESSIONS]: live });
    show(<LiveSessions tenant={tenant} />);
    expect(await screen.findByText("advisory lock")).toBeTruthy();
    expect(screen.getByText("The proxy at 10.0.0.2:6433 does not answer")).toBeTruthy();
  });
  it("can be ended by an operator, once asked again", async () => {
    const asked = mockApi("operator", { [SESSIONS]: live, "DELETE /tenants/t1/sessions/0b0e": session });
    show(<LiveSessions tenant={tenant} />);
    await userEvent.click(await screen.findByRole("button", { name: /^End the session of app/ }));
    expect(asked).not.toContain("DELETE /tenants/t1/sessions/0b0e");
    await userEvent.click(await screen.findByRole("button", { name: "End it" }));
    await waitFor(() => expect(asked).toContain("DELETE /tenants/t1/sessions/0b0e"));
  });
  it("cannot be ended by a viewer", async () => {
    const asked = mockApi("viewer", { [SESSIONS]: live });
    show(<LiveSessions tenant={tenant} />);
    const button = await screen.findByRole("button", { name: /^End the session of app/ });
    await waitFor(() => expect(button.getAttribute("aria-disabled")).toBe("true"));
    await userEvent.click(button);
    expect(screen.queryByRole("alertdialog")).toBeNull();
    expect(asked.some((key) => key.startsWith("DELETE"))).toBe(false);
  });
  it("are nobody's where no console is named", async () => {
    mockApi("viewer", { [SESSIONS]: { ...live, proxies: [], sessions: [] } });
    show(<LiveSessions tenant={tenant} />);
    expect(await screen.findByText(/No proxy's console is named/)).toBeTruthy();
  });
});

describe("the integrity badge", () => {
  const integrity = {
    state: "holds",
    key: "k",
    size: 10,
    unnumbered: 0,
    signed: 10,
    signed_at: null,
    checked_from: 0,
    checked: 10,
    checkpoints: 1,
    faults: [] as string[],
    checked_at: "2026-01-01T00:00:00Z",
  };
  it.each([
    [{}, "Log holds"],
    [{ state: "altered", faults: ["event 3 changed"] }, "Log was altered"],
    [{ state: "unsigned" }, "Log not signed yet"],
  ])("is in words: %o", async (changes, text) => {
    mockApi("auditor", { "GET /audit/integrity": { ...integrity, ...changes } });
    show(<IntegrityBadge />);
    expect(await screen.findByText(text)).toBeTruthy();
  });
  it("does not say that the log holds where it could not be asked", async () => {
    mockApi("viewer", { "GET /audit/integrity": integrity });
    show(<IntegrityBadge />);
    expect(await screen.findByText("Log cannot be checked")).toBeTruthy();
  });
});

describe("leak tests", () => {
  const list = { items: [], key: "k", longest_seconds: 60 };
  it("are empty at first, and started by the security role", async () => {
    const asked = mockApi("security", { "GET /isolation-runs": list, "POST /isolation-runs": { id: "r1" } });
    show(<IsolationPage />);
    expect(await screen.findByText("No leak tests yet")).toBeTruthy();
    const seconds = screen.getByLabelText("Seconds of attack");
    await userEvent.clear(seconds);
    await userEvent.type(seconds, "61");
    expect(await screen.findByText("At most 60.")).toBeTruthy();
    await userEvent.clear(seconds);
    await userEvent.type(seconds, "10");
    await userEvent.click(screen.getByRole("button", { name: "Start" }));
    await waitFor(() => expect(asked).toContain("POST /isolation-runs"));
  });
  it("are not started by an operator", async () => {
    const asked = mockApi("operator", { "GET /isolation-runs": list });
    show(<IsolationPage />);
    const button = await screen.findByRole("button", { name: "Start" });
    await waitFor(() => expect(button.getAttribute("aria-disabled")).toBe("true"));
    await userEvent.click(button);
    expect(asked).not.toContain("POST /isolation-runs");
  });
  it("say so where they are switched off", async () => {
    mockApi("owner", { "GET /isolation-runs": { ...list, longest_seconds: 0 } });
    show(<IsolationPage />);
    expect(await screen.findByText(/switched off here/)).toBeTruthy();
  });
});
