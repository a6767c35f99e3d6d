/** Requests that a second person approves. */
import { useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./client";
import type { components } from "./types";

export type Approval = components["schemas"]["Approval"];
export type ApprovalList = components["schemas"]["ApprovalList"];

/** Time between two looks at what waits for somebody, in milliseconds. */
const LOOK_MS = 5_000;

export const useApprovals = () =>
  useQuery({
    queryKey: ["approvals"],
    queryFn: ({ signal }) => request<ApprovalList>("/approvals", { signal }),
    refetchInterval: LOOK_MS,
  });

export function useDecide() {
  const client = useQueryClient();
  return useMutation({
    mutationFn: ({ id, decision }: { id: string; decision: "approve" | "refuse" }) =>
      request<Approval>(`/approvals/${encodeURIComponent(id)}/${decision}`, { method: "POST" }),
    onSettled: () => client.invalidateQueries({ queryKey: ["approvals"] }),
  });
}
