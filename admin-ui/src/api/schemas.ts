/** Short names for the API's types. */
import type { components } from "./types";

type Schemas = components["schemas"];

export type Problem = Omit<Schemas["Problem"], "errors"> & {
  errors?: Schemas["FieldError"][];
  /** What finds this request in the control plane's logs. */
  trace?: string;
};
/** The states that this UI knows; the API's type is text, so that it may learn more. */
export const OBSERVED_STATES = [
  "pending",
  "provisioning",
  "verifying",
  "active",
  "suspended",
  "failed",
  "deleted",
  "purging",
] as const;
export type Login = Schemas["Login"];
/** What is not set is not told. */
export type Limits = Partial<Schemas["Limits"]>;
export type Tenant = Omit<Schemas["Tenant"], "limits" | "effective_limits"> & {
  limits: Limits;
  effective_limits: Limits;
};
export type TenantPage = { items: Tenant[]; next_cursor?: string | null };
export type ChangeTenant = Partial<Omit<Schemas["ChangeTenant"], "limits">> & { limits?: Limits };
export type Step = Schemas["Step"];
export type Operation = Schemas["Operation"];
export type TenantStatus = Schemas["TenantStatus"];
export type TenantDrift = Schemas["TenantDrift"];
export type NewLogin = Schemas["NewLogin"];
export type Credential = Schemas["Credential"];
export type CreateTenant = { slug: string } & Partial<Schemas["CreateTenant"]>;
export type CreatedTenant = Omit<Schemas["CreatedTenant"], "tenant"> & { tenant?: Tenant | null };
export type RollbackPlan = Schemas["RollbackPlan"];
export type RolledBack = Omit<Schemas["RolledBack"], "tenant"> & { tenant?: Tenant | null };
export type AuditEvent = Schemas["Event"];
export type AuditPage = Schemas["AuditPage"];
export type ExplainQuestion = Schemas["ExplainQuestion"];
export type ExplainedAccess = Schemas["ExplainedAccess"];
export type ExplainedStatement = Schemas["ExplainedStatement"];
export type Explanation = Schemas["Explanation"];
export type Template = Schemas["Template"];
export type TemplateList = Schemas["TemplateList"];
export type Plan = Omit<Schemas["Plan"], "limits"> & { limits: Limits };
export type PlanList = { items: Plan[] };
export type Migration = Schemas["Migration"];
export type MigrationList = Schemas["MigrationList"];
export type MigrationAnswer = Schemas["MigrationAnswer"];
export type MigrationPlan = Schemas["MigrationPlan"];
export type StartMigration = Schemas["StartMigration"];
export type Target = Schemas["Target"];
export type TargetCounts = Schemas["TargetCounts"];
export type TargetPage = Schemas["TargetPage"];
export type DriftPage = Schemas["DriftPage"];
export type WarmPool = Schemas["WarmPool"];
export type Whoami = Schemas["Whoami"];

/** `GET /slugs/{slug}`: whether a slug can be taken, and what else could be. */
export interface SlugAnswer {
  slug: string;
  available: boolean;
  detail?: string | null;
  suggestion?: string | null;
}

/** `GET /operations`. */
export interface OperationPage {
  items: Operation[];
  next_cursor?: string | null;
}
