/** Who is connected as a tenant, how much room tenants take, and the state of the audit trail. */
import { keepPreviousData, useMutation, useQueries, useQuery, useQueryClient } from "@tanstack/react-query";
import { openStream, request } from "./client";
import type { AuditFilter } from "./endpoints";
import type { components } from "./types";

type Schemas = components["schemas"];
export type Live = Schemas["Live"];
export type LiveSession = Schemas["LiveSession"];
export type LivePool = Schemas["LivePool"];
export type LiveServer = Schemas["LiveServer"];
export type Usage = Schemas["Usage"];
export type Integrity = Schemas["Integrity"];
export type Histogram = Schemas["Histogram"];

/** Time between two looks at sessions, in milliseconds. */
const SESSIONS_MS = 3_000;
/** Time between two checks of the trail, in milliseconds. */
const INTEGRITY_MS = 60_000;
/** Tenants that one request may name. */
const USAGE_TENANTS = 100;

const sessionsPath = (tenant: string) => `/tenants/${encodeURIComponent(tenant)}/sessions`;

export const useLive = (tenant: string) =>
  useQuery({
    queryKey: ["tenant", tenant, "sessions"],
    queryFn: ({ signal }) => request<Live>(sessionsPath(tenant), { signal }),
    refetchInterval: SESSIONS_MS,
  });

export function useTerminate(tenant: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (session: string) =>
      request<LiveSession>(`${sessionsPath(tenant)}/${encodeURIComponent(session)}`, { method: "DELETE" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["tenant", tenant, "sessions"] }),
  });
}

/** The use of tenants, by id: asked for in the order and the parts in which the list came. */
export function useUsage(ids: string[]): ReadonlyMap<string, Usage> {
  const parts = Array.from({ length: Math.ceil(ids.length / USAGE_TENANTS) }, (_, i) =>
    ids.slice(i * USAGE_TENANTS, (i + 1) * USAGE_TENANTS).join(","),
  );
  return useQueries({
    queries: parts.map((tenants) => ({
      queryKey: ["usage", tenants],
      queryFn: ({ signal }: { signal: AbortSignal }) =>
        request<{ items: Usage[] }>("/usage", { query: { tenants }, signal }),
      staleTime: 60_000,
      refetchOnWindowFocus: false,
    })),
    combine: (answers) =>
      new Map(answers.flatMap(({ data }) => data?.items ?? []).map((usage) => [usage.tenant_id, usage])),
  });
}

export const useIntegrity = () =>
  useQuery({
    queryKey: ["integrity"],
    queryFn: ({ signal }) => request<Integrity>("/audit/integrity", { signal }),
    refetchInterval: INTEGRITY_MS,
  });

export const useHistogram = (filter: Omit<AuditFilter, "cursor" | "limit">) =>
  useQuery({
    queryKey: ["audit", "histogram", filter],
    queryFn: ({ signal }) => request<Histogram>("/audit/histogram", { query: { ...filter }, signal }),
    placeholderData: keepPreviousData,
  });

export const AUDIT_FORMATS = { jsonl: "JSON Lines", csv: "CSV", ocsf: "OCSF", cef: "CEF" } as const;
export type AuditFormat = keyof typeof AUDIT_FORMATS;

/** Everything that fits a filter, as a signed file. */
export const useAuditExport = () =>
  useMutation({
    mutationFn: async ({ filter, format }: { filter: AuditFilter; format: AuditFormat }) => {
      const answer = await openStream("/audit/export", {
        query: { ...filter, format },
        headers: { Accept: "*/*" },
        signal: AbortSignal.timeout(600_000),
      });
      return answer.blob();
    },
    gcTime: 0,
  });
