/** Every endpoint that the UI uses, one function each. */
import { ApiError, request } from "./client";
import type {
  AuditPage,
  Credential,
  CreatedTenant,
  ChangeTenant,
  CreateTenant,
  DriftPage,
  ExplainQuestion,
  Explanation,
  Migration,
  MigrationAnswer,
  MigrationList,
  NewLogin,
  Operation,
  OperationPage,
  PlanList,
  RollbackPlan,
  RolledBack,
  SlugAnswer,
  StartMigration,
  TargetPage,
  TemplateList,
  Tenant,
  TenantDrift,
  TenantPage,
  TenantStatus,
  WarmPool,
  Whoami,
} from "./schemas";

type Signal = { signal?: AbortSignal };

export interface TenantFilter {
  state?: string;
  q?: string;
  cursor?: string;
  limit?: number;
}

export interface AuditFilter {
  tenant?: string;
  action?: string;
  decision?: string;
  actor?: string;
  session?: string;
  operation?: string;
  epoch?: string;
  sqlstate?: string;
  object?: string;
  reason?: string;
  fingerprint?: string;
  /** RFC 3339. */
  since?: string;
  /** RFC 3339, not included. */
  until?: string;
  cursor?: string;
  limit?: number;
}

const tenantPath = (id: string) => `/tenants/${encodeURIComponent(id)}`;

export const whoami = (call: Signal & { token?: string } = {}) => request<Whoami>("/whoami", call);

export const listTenants = (filter: TenantFilter, { signal }: Signal = {}) =>
  request<TenantPage>("/tenants", { query: { ...filter }, signal });

export const showTenant = (id: string, { signal }: Signal = {}) =>
  request<Tenant>(tenantPath(id), { signal });

export const tenantStatus = (id: string, { signal }: Signal = {}) =>
  request<TenantStatus>(`${tenantPath(id)}/status`, { signal });

export const createTenant = (body: CreateTenant, idempotencyKey: string) =>
  request<CreatedTenant>("/tenants", {
    method: "POST",
    body,
    headers: { "Idempotency-Key": idempotencyKey, Prefer: "respond-async" },
  });

export const switchTenant = (id: string, action: "suspend" | "resume", reason: string) =>
  request<{ tenant: Tenant }>(`${tenantPath(id)}/${action}`, { method: "POST", body: { reason } });

/** How a tenant is taken back: to the version before, or away. */
export type BackMode = "version" | "delete";

export const planRollback = (id: string, mode?: BackMode) =>
  request<RollbackPlan>(`${tenantPath(id)}/rollback`, { method: "POST", body: { dry_run: true, mode } });

export interface Confirmed {
  confirm: string;
  reason: string;
}

export const rollBack = (id: string, mode: BackMode, wish: Confirmed) =>
  request<RolledBack>(`${tenantPath(id)}/rollback`, { method: "POST", body: { ...wish, mode } });

export const planDeletion = (id: string) =>
  request<RollbackPlan>(tenantPath(id), { method: "DELETE", query: { dry_run: "true" } });

/** Deletes a tenant, or purges one that is deleted already. */
export const deleteTenant = (id: string, { confirm, reason }: Confirmed) =>
  request<RolledBack>(tenantPath(id), { method: "DELETE", query: { confirm, reason } });

export const undeleteTenant = (id: string, slug: string | undefined, reason: string) =>
  request<{ tenant?: Tenant | null }>(`${tenantPath(id)}/undelete`, {
    method: "POST",
    body: { reason, ...(slug && { slug }) },
  });

/** Changes what differs; refused with 412 where the tenant is no longer of this generation. */
export const changeTenant = (id: string, generation: number, change: ChangeTenant) =>
  request<{ tenant: Tenant }>(tenantPath(id), {
    method: "PATCH",
    body: change,
    headers: { "If-Match": `"${generation}"` },
  });

export const tenantDrift = (id: string, { signal }: Signal = {}) =>
  request<TenantDrift>(`${tenantPath(id)}/drift`, { signal });

/** One more login; its secret is in the answer and nowhere else. */
export const addLogin = (id: string, login: NewLogin) =>
  request<Credential>(`${tenantPath(id)}/logins`, { method: "POST", body: login });

export const removeLogin = (id: string, login: string) =>
  request<void>(`${tenantPath(id)}/logins/${encodeURIComponent(login)}`, { method: "DELETE" });

/** A new secret; the old one stays good beside it for so many seconds. */
export const rotateLogin = (id: string, login: string, graceSeconds: number) =>
  request<Omit<Credential, "kind">>(`${tenantPath(id)}/logins/${encodeURIComponent(login)}/rotate`, {
    method: "POST",
    body: { grace_seconds: graceSeconds },
  });

export const listAudit = (filter: AuditFilter, { signal }: Signal = {}) =>
  request<AuditPage>("/audit", { query: { ...filter }, signal });

export const listTemplates = ({ signal }: Signal = {}) => request<TemplateList>("/templates", { signal });

export const explain = (question: ExplainQuestion) =>
  request<Explanation>("/explain", { method: "POST", body: question });

export const listPlans = ({ signal }: Signal = {}) => request<PlanList>("/plans", { signal });

/** Whether a slug is free. Control planes without `/slugs` are asked for a tenant of that name instead. */
export async function askSlug(slug: string, { signal }: Signal = {}): Promise<SlugAnswer> {
  const missing = (error: unknown) => error instanceof ApiError && error.problem.status === 404;
  try {
    return await request<SlugAnswer>(`/slugs/${encodeURIComponent(slug)}`, { signal });
  } catch (error) {
    if (!missing(error)) throw error;
  }
  try {
    await showTenant(slug, { signal });
    return { slug, available: false, detail: `the slug "${slug}" is taken` };
  } catch (error) {
    if (!missing(error)) throw error;
    return { slug, available: true };
  }
}

export const showOperation = (id: string, { signal }: Signal = {}) =>
  request<Operation>(`/operations/${encodeURIComponent(id)}`, { signal });

export interface OperationFilter {
  tenant?: string;
  state?: string;
  limit?: number;
}

export const listOperations = (filter: OperationFilter, { signal }: Signal = {}) =>
  request<OperationPage>("/operations", { query: { ...filter }, signal });

export const cancelOperation = (id: string) =>
  request<Operation>(`/operations/${encodeURIComponent(id)}/cancel`, { method: "POST" });

export const listDrift = ({ signal }: Signal = {}) => request<DriftPage>("/drift", { signal });

export const warmPool = ({ signal }: Signal = {}) => request<WarmPool>("/warm-pool", { signal });

const migrationPath = (id: string) => `/migrations/${encodeURIComponent(id)}`;

export const listMigrations = ({ signal }: Signal = {}) => request<MigrationList>("/migrations", { signal });

export const showMigration = (id: string, { signal }: Signal = {}) =>
  request<Migration>(migrationPath(id), { signal });

export const startMigration = (wish: StartMigration) =>
  request<MigrationAnswer>("/migrations", { method: "POST", body: wish });

export type MigrationMove = "pause" | "resume" | "abort" | "retry";

export const moveMigration = (id: string, move: MigrationMove) =>
  request<Migration>(`${migrationPath(id)}/${move}`, { method: "POST" });

export interface TargetFilter {
  state?: string;
  cursor?: string;
  limit?: number;
}

export const listTargets = (id: string, filter: TargetFilter, { signal }: Signal = {}) =>
  request<TargetPage>(`${migrationPath(id)}/targets`, { query: { ...filter }, signal });
