/** What the pages read and change, with its caching. Secrets are never kept in a cache. */
import {
  keepPreviousData,
  QueryClient,
  useInfiniteQuery,
  useMutation,
  useQuery,
  useQueryClient,
} from "@tanstack/react-query";
import { refusal, type Action } from "../lib/rights";
import { isMoving } from "../lib/states";
import { ApiError } from "./client";
import * as api from "./endpoints";
import type {
  ChangeTenant,
  CreateTenant,
  ExplainQuestion,
  NewLogin,
  RollbackPlan,
  TenantStatus,
} from "./schemas";

/** Time between two looks at something that is changing, in milliseconds. */
const POLL_MS = 1_000;
/** Time between two looks at a list in which something is changing, in milliseconds. */
const LIST_POLL_MS = 3_000;
/** How often a read that may succeed later is repeated. */
const RETRIES = 2;

/** A client whose reads are repeated only where that can help: no connection, or a server that is not ready. */
export function newQueryClient(): QueryClient {
  const retry = (count: number, error: unknown) => {
    const status = error instanceof ApiError ? error.problem.status : -1;
    return count < RETRIES && [0, 502, 503, 504].includes(status);
  };
  return new QueryClient({ defaultOptions: { queries: { retry, staleTime: 5_000 } } });
}

/** Whether a status is still changing and worth polling. */
export function isRunning(status: TenantStatus | undefined): boolean {
  return status?.operation?.state === "running" || (!!status && isMoving(status.observed_state));
}

export const useWhoami = () =>
  useQuery({ queryKey: ["whoami"], queryFn: ({ signal }) => api.whoami({ signal }), staleTime: Infinity });

/** Why the caller's roles do not allow an action; null where they do. */
export function useRefusal(action: Action): string | null {
  return refusal(useWhoami().data?.roles, action);
}

export const useTenants = (filter: api.TenantFilter) =>
  useQuery({
    queryKey: ["tenants", filter],
    queryFn: ({ signal }) => api.listTenants(filter, { signal }),
    placeholderData: keepPreviousData,
    refetchInterval: ({ state }) =>
      state.data?.items.some((tenant) => isMoving(tenant.observed_state)) ? LIST_POLL_MS : false,
  });

/** Tenants on one page of the list: the API's most is 200. */
const TENANT_PAGE = 100;

/** All tenants that fit, a page after the other. */
export const useAllTenants = (filter: Omit<api.TenantFilter, "cursor" | "limit">) =>
  useInfiniteQuery({
    queryKey: ["tenants", "all", filter],
    queryFn: ({ signal, pageParam }) =>
      api.listTenants({ ...filter, cursor: pageParam, limit: TENANT_PAGE }, { signal }),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (page) => page.next_cursor ?? undefined,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ items }) => items.some((tenant) => isMoving(tenant.observed_state)))
        ? LIST_POLL_MS
        : false,
  });

export const useTenant = (id: string) =>
  useQuery({ queryKey: ["tenant", id], queryFn: ({ signal }) => api.showTenant(id, { signal }) });

export const useTenantStatus = (id: string) =>
  useQuery({
    queryKey: ["tenant", id, "status"],
    queryFn: ({ signal }) => api.tenantStatus(id, { signal }),
    refetchInterval: ({ state }) => (isRunning(state.data) ? POLL_MS : false),
  });

export const useTemplates = () =>
  useQuery({ queryKey: ["templates"], queryFn: ({ signal }) => api.listTemplates({ signal }) });

export const useAudit = (filter: api.AuditFilter) =>
  useQuery({
    queryKey: ["audit", filter],
    queryFn: ({ signal }) => api.listAudit(filter, { signal }),
    placeholderData: keepPreviousData,
  });

/** Marks everything that a change of a tenant shows in as out of date. */
function useTenantsChanged() {
  const client = useQueryClient();
  return () =>
    Promise.all(
      ["tenants", "tenant", "audit", "operations", "slug"].map((name) =>
        client.invalidateQueries({ queryKey: [name] }),
      ),
    );
}

export function useCreateTenant() {
  const onSettled = useTenantsChanged();
  return useMutation({
    mutationFn: ({ body, key }: { body: CreateTenant; key: string }) => api.createTenant(body, key),
    gcTime: 0,
    onSettled,
  });
}

export function useSwitchTenant(id: string, action: "suspend" | "resume") {
  const onSettled = useTenantsChanged();
  return useMutation({ mutationFn: (reason: string) => api.switchTenant(id, action, reason), onSettled });
}

/** What a change that must be confirmed would do, and the change itself. */
export interface Danger {
  plan: () => Promise<RollbackPlan>;
  run: (wish: api.Confirmed) => Promise<unknown>;
}

export const usePlan = (danger: Danger) => useMutation({ mutationFn: () => danger.plan() });

export function useDanger(danger: Danger) {
  const onSettled = useTenantsChanged();
  return useMutation({ mutationFn: (wish: api.Confirmed) => danger.run(wish), onSettled });
}

export function useUndelete(id: string) {
  const onSettled = useTenantsChanged();
  return useMutation({
    mutationFn: (wish: { slug: string; reason: string }) => api.undeleteTenant(id, wish.slug, wish.reason),
    onSettled,
  });
}

export function useChangeTenant(id: string) {
  const onSettled = useTenantsChanged();
  return useMutation({
    mutationFn: (wish: { generation: number; change: ChangeTenant }) =>
      api.changeTenant(id, wish.generation, wish.change),
    onSettled,
  });
}

export const useDrift = (id: string, enabled: boolean) =>
  useQuery({
    queryKey: ["tenant", id, "drift"],
    queryFn: ({ signal }) => api.tenantDrift(id, { signal }),
    enabled,
    staleTime: 60_000,
  });

export const usePlans = () =>
  useQuery({ queryKey: ["plans"], queryFn: ({ signal }) => api.listPlans({ signal }) });

export const useSlug = (slug: string) =>
  useQuery({
    queryKey: ["slug", slug],
    queryFn: ({ signal }) => api.askSlug(slug, { signal }),
    enabled: slug !== "",
    staleTime: 10_000,
  });

/** Operations, newest first. Older control planes do not list them: then `error` is a 404. */
export const useOperations = (filter: api.OperationFilter) =>
  useQuery({
    queryKey: ["operations", filter],
    queryFn: ({ signal }) => api.listOperations(filter, { signal }),
    refetchInterval: ({ state }) =>
      state.data?.items.some((operation) => operation.state === "running") ? LIST_POLL_MS : false,
  });

export function useAddLogin(id: string) {
  const onSettled = useTenantsChanged();
  return useMutation({ mutationFn: (login: NewLogin) => api.addLogin(id, login), gcTime: 0, onSettled });
}

export function useRemoveLogin(id: string) {
  const onSettled = useTenantsChanged();
  return useMutation({ mutationFn: (login: string) => api.removeLogin(id, login), onSettled });
}

export function useRotateLogin(id: string) {
  const onSettled = useTenantsChanged();
  return useMutation({
    mutationFn: ({ login, graceSeconds }: { login: string; graceSeconds: number }) =>
      api.rotateLogin(id, login, graceSeconds),
    gcTime: 0,
    onSettled,
  });
}

export const useExplain = () =>
  useMutation({ mutationFn: (question: ExplainQuestion) => api.explain(question) });

export const useFleetDrift = () =>
  useQuery({ queryKey: ["drift"], queryFn: ({ signal }) => api.listDrift({ signal }), staleTime: 60_000 });

export const useWarmPool = () =>
  useQuery({ queryKey: ["warm-pool"], queryFn: ({ signal }) => api.warmPool({ signal }), staleTime: 60_000 });
