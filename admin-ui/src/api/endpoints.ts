/** Every endpoint that the UI uses, one function each. */
import { request } from "./client";
import type {
  AuditPage,
  Credential,
  CreatedTenant,
  CreateTenant,
  ExplainQuestion,
  Explanation,
  RollbackPlan,
  RolledBack,
  TemplateList,
  Tenant,
  TenantPage,
  TenantStatus,
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
    headers: { "Idempotency-Key": idempotencyKey },
  });

export const switchTenant = (id: string, action: "suspend" | "resume", reason: string) =>
  request<{ tenant: Tenant }>(`${tenantPath(id)}/${action}`, { method: "POST", body: { reason } });

export const planRollback = (id: string) =>
  request<RollbackPlan>(`${tenantPath(id)}/rollback`, { method: "POST", body: { dry_run: true } });

export const rollBack = (id: string, confirm: string, reason: string) =>
  request<RolledBack>(`${tenantPath(id)}/rollback`, { method: "POST", body: { confirm, reason } });

export const rotateLogin = (id: string, login: string) =>
  request<Omit<Credential, "kind">>(`${tenantPath(id)}/logins/${encodeURIComponent(login)}/rotate`, {
    method: "POST",
  });

export const listAudit = (filter: AuditFilter, { signal }: Signal = {}) =>
  request<AuditPage>("/audit", { query: { ...filter }, signal });

export const listTemplates = ({ signal }: Signal = {}) => request<TemplateList>("/templates", { signal });

export const explain = (question: ExplainQuestion) =>
  request<Explanation>("/explain", { method: "POST", body: question });
