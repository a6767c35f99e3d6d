/** The policy: what is in force, what a change would do, and its history. */
import { useInfiniteQuery, useMutation, useQuery, useQueryClient } from "@tanstack/react-query";
import { request } from "./client";
import type { components } from "./types";

type Schemas = components["schemas"];
export type ActivePolicy = Schemas["ActivePolicy"];
export type Policy = Schemas["Policy"];
export type Epoch = Schemas["Epoch"];
export type EpochList = Schemas["EpochList"];
export type PolicyCheck = Schemas["PolicyCheck"];
export type PolicyDifference = Schemas["PolicyDifference"];
export type PolicyFault = Schemas["PolicyFault"];
export type Mode = Schemas["Mode"];

export interface PolicyTexts {
  model: string;
  policy: string;
}

/** What both ways of changing the policy ask for. */
export interface ChangeNote {
  comment: string;
  expected_epoch: number;
}

/** Time between two looks at what is in force, in milliseconds: somebody else may change it. */
const LOOK_MS = 10_000;

export const usePolicy = () =>
  useQuery({
    queryKey: ["policy"],
    queryFn: ({ signal }) => request<ActivePolicy>("/policy", { signal }),
    refetchInterval: LOOK_MS,
  });

export function usePolicyCheck(texts: PolicyTexts | null) {
  const body = texts && { model: texts.model, policy: texts.policy };
  return useQuery({
    queryKey: ["policy-check", body],
    queryFn: ({ signal }) => request<PolicyCheck>("/policy/check", { method: "POST", body, signal }),
    enabled: body !== null,
    gcTime: 60_000,
    staleTime: 10_000,
  });
}

export const useEpochs = () =>
  useInfiniteQuery({
    queryKey: ["policy-epochs"],
    queryFn: ({ signal, pageParam }) =>
      request<EpochList>("/policy/epochs", { query: { before: pageParam, limit: 20 }, signal }),
    initialPageParam: undefined as number | undefined,
    getNextPageParam: (page) => page.next_before ?? undefined,
  });

/** One epoch with its texts; epochs never change. */
export const useEpoch = (epoch: number) =>
  useQuery({
    queryKey: ["policy-epoch", epoch],
    queryFn: ({ signal }) => request<Policy>(`/policy/epochs/${epoch}`, { signal }),
    staleTime: Infinity,
  });

function usePolicyChanged() {
  const client = useQueryClient();
  return () =>
    Promise.all(
      ["policy", "policy-check", "policy-epochs", "audit"].map((name) =>
        client.invalidateQueries({ queryKey: [name] }),
      ),
    );
}

export function useActivatePolicy() {
  const onSettled = usePolicyChanged();
  return useMutation({
    mutationFn: (body: PolicyTexts & ChangeNote) => request<Policy>("/policy", { method: "POST", body }),
    onSettled,
  });
}

export function useRestorePolicy() {
  const onSettled = usePolicyChanged();
  return useMutation({
    mutationFn: (body: { epoch: number } & ChangeNote) =>
      request<Policy>("/policy/rollback", { method: "POST", body }),
    onSettled,
  });
}

export function usePolicyMode(tenant: string) {
  const onSettled = usePolicyChanged();
  return useMutation({
    mutationFn: (mode: Mode) =>
      request<{ mode: Mode }>(`/tenants/${encodeURIComponent(tenant)}/policy-mode`, {
        method: "PUT",
        body: { mode },
      }),
    onSettled,
  });
}
