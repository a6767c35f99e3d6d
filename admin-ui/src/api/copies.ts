/** A tenant's content: as a file, or as another tenant. */
import { useMutation, useQueryClient } from "@tanstack/react-query";
import { openStream, request } from "./client";
import type { CreatedTenant } from "./schemas";

const path = (id: string) => `/tenants/${encodeURIComponent(id)}`;

export function useExport(id: string) {
  return useMutation({
    mutationFn: async (structureOnly: boolean) => {
      const answer = await openStream(`${path(id)}/export`, {
        method: "POST",
        body: { structure_only: structureOnly },
        headers: { Accept: "application/sql, application/problem+json" },
        signal: new AbortController().signal,
      });
      return answer.blob();
    },
    gcTime: 0,
  });
}

export interface CloneWish {
  slug: string;
  structure_only: boolean;
}

export function useClone(id: string) {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ body, key }: { body: CloneWish; key: string }) =>
      request<CreatedTenant>(`${path(id)}/clone`, {
        method: "POST",
        body,
        headers: { "Idempotency-Key": key },
      }),
    gcTime: 0,
    onSettled: () => client.invalidateQueries({ queryKey: ["tenants"] }),
  });
}
