/**
 * A control plane for component tests: answers `fetch` from a table and lets in whom the control plane's own golden file
 * of rights lets in.
 */
import { readFileSync } from "node:fs";
import { ChakraProvider } from "@chakra-ui/react";
import { QueryClientProvider } from "@tanstack/react-query";
import { render } from "@testing-library/react";
import type { ReactElement } from "react";
import { createMemoryRouter, RouterProvider } from "react-router";
import { vi } from "vitest";
import { newQueryClient } from "../api/queries";
import { system } from "../theme";

/** From the UI's folder, where its tests run. */
const GOLDEN = "../control-plane/rights.golden";
const ROLES = ["viewer", "auditor", "operator", "security", "admin", "owner"];

/** Method and path as a pattern, with the roles that may. */
const ENDPOINTS = readFileSync(GOLDEN, "utf8")
  .split("\n")
  .filter((line) => line && !line.startsWith("#"))
  .map((line) => line.trim().split(/\s+/))
  .map(([method, path = "", ...words]) => ({
    method,
    path: new RegExp(`^${path.replace(/\{\w+\}/g, "[^/]+")}$`),
    roles: words.filter((word) => ROLES.includes(word)),
  }));

/** `GET /path` → what it answers; a function is asked with the request's body. */
export type Answers = Record<string, unknown>;

/** Answers every request of the page as somebody with this role; gives what was asked. */
export function mockApi(role: string, answers: Answers): string[] {
  const asked: string[] = [];
  const problem = (status: number, title: string) =>
    Response.json({ type: "about:blank", title, status, detail: title }, { status });
  vi.stubGlobal("fetch", async (input: string, init: RequestInit = {}) => {
    const url = new URL(input, "http://mock");
    const method = init.method ?? "GET";
    const path = url.pathname.replace("/api/v1", "");
    const key = `${method} ${path}`;
    asked.push(key);
    if (key === "GET /whoami") return Response.json({ subject: "ann", roles: [role] });
    const endpoint = ENDPOINTS.find((known) => known.method === method && known.path.test(path));
    if (!endpoint) return problem(404, "There is no such endpoint");
    if (!endpoint.roles.includes(role)) return problem(403, "Your roles do not allow this");
    const answer = answers[key];
    if (answer === undefined) return problem(404, "There is no such thing");
    return answer instanceof Response ? answer.clone() : Response.json(answer);
  });
  return asked;
}

/** Shows a part of the UI at an address. */
export function show(element: ReactElement) {
  const router = createMemoryRouter([{ path: "*", element }]);
  return render(
    <ChakraProvider value={system}>
      <QueryClientProvider client={newQueryClient()}>
        <RouterProvider router={router} />
      </QueryClientProvider>
    </ChakraProvider>,
  );
}
