/** Leak tests of the installation: started, watched, and what they found. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useState } from "react";
import { openStream, request } from "./client";
import type { components } from "./types";
import { watch, type Connection } from "./watch";

type Schemas = components["schemas"];
export type Wall = Schemas["Wall"];
export type IsolationWish = Required<Schemas["Wish"]>;
export type IsolationRun = Omit<Schemas["IsolationRun"], "wish"> & { wish: IsolationWish };
export interface IsolationRunList {
  items: IsolationRun[];
  key: string;
  longest_seconds: number;
}

/** Time between two looks at a list in which a test runs, in milliseconds. */
const POLL_MS = 3_000;

const path = (id: string) => `/isolation-runs/${encodeURIComponent(id)}`;

export const isUnderWay = (run: IsolationRun | undefined) => run?.state === "running";

export const useIsolationRuns = () =>
  useQuery({
    queryKey: ["isolation"],
    queryFn: ({ signal }) => request<IsolationRunList>("/isolation-runs", { signal }),
    refetchInterval: ({ state }) => (state.data?.items.some(isUnderWay) ? POLL_MS : false),
  });

/** A test as it runs: read once, then told. */
export function useIsolationRun(id: string) {
  const client = useQueryClient();
  const read = useQuery({
    queryKey: ["isolation", id],
    queryFn: ({ signal }) => request<IsolationRun>(path(id), { signal }),
  });
  const [connection, setConnection] = useState<Connection>("opening");
  const underWay = isUnderWay(read.data);
  useEffect(() => {
    if (!underWay) return;
    const stop = new AbortController();
    let over = false;
    void watch({
      path: `${path(id)}/events`,
      signal: stop.signal,
      onConnection: setConnection,
      isOver: () => over,
      onEvent: ({ data }) => {
        const run = JSON.parse(data) as IsolationRun;
        over = !isUnderWay(run);
        client.setQueryData(["isolation", id], run);
      },
    });
    return () => stop.abort();
  }, [client, id, underWay]);
  return { ...read, connection };
}

export function useStartIsolation() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: IsolationWish) => request<IsolationRun>("/isolation-runs", { method: "POST", body }),
    onSettled: () => client.invalidateQueries({ queryKey: ["isolation"] }),
  });
}

export function useCancelIsolation(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: () => request<IsolationRun>(`${path(id)}/cancel`, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["isolation"] }),
  });
}

export type ReportFormat = "json" | "html";

/** A test's report, as it was signed. */
export const useIsolationReport = (id: string) =>
  useMutation({
    mutationFn: async (format: ReportFormat) => {
      const answer = await openStream(`${path(id)}/report`, {
        query: { format },
        headers: { Accept: "application/json, text/html, application/problem+json" },
        signal: AbortSignal.timeout(60_000),
      });
      return answer.blob();
    },
    gcTime: 0,
  });
