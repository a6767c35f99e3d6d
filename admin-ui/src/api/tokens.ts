/** API tokens: programs' way in. A secret is shown once and kept in no cache. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./client";
import type { components } from "./types";

type Schemas = components["schemas"];
export type ApiToken = Schemas["ApiToken"];
export type CreatedToken = Schemas["CreatedToken"];

export interface NewToken {
  name: string;
  roles: string[];
  /** Ids or slugs; all tenants where absent. */
  tenants?: string[];
  days: number;
}

export const useTokens = (enabled: boolean) =>
  useQuery({
    queryKey: ["tokens"],
    queryFn: ({ signal }) => request<{ items: ApiToken[] }>("/tokens", { signal }),
    enabled,
  });

export function useCreateToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (body: NewToken) => request<CreatedToken>("/tokens", { method: "POST", body }),
    gcTime: 0,
    onSettled: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
}

export function useRevokeToken() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: (id: string) => request<ApiToken>(`/tokens/${encodeURIComponent(id)}`, { method: "DELETE" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["tokens"] }),
  });
}
