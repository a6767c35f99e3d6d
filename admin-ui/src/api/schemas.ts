/** Short names for the API's types. */
import type { components } from "./types";

type Schemas = components["schemas"];

export type Problem = Schemas["Problem"];
export type ObservedState = Schemas["ObservedState"];
export type Login = Schemas["Login"];
export type Tenant = Schemas["Tenant"];
export type TenantPage = Schemas["TenantPage"];
export type StepState = Schemas["StepState"];
export type Operation = Schemas["Operation"];
export type TenantStatus = Schemas["TenantStatus"];
export type Credential = Schemas["Credential"];
export type CreateTenant = Schemas["CreateTenant"];
export type CreatedTenant = Schemas["CreatedTenant"];
export type RollbackPlan = Schemas["RollbackPlan"];
export type RolledBack = Schemas["RolledBack"];
export type AuditEvent = Schemas["AuditEvent"];
export type AuditPage = Schemas["AuditPage"];
export type ExplainQuestion = Schemas["ExplainQuestion"];
export type ExplainedAccess = Schemas["ExplainedAccess"];
export type ExplainedStatement = Schemas["ExplainedStatement"];
export type Explanation = Schemas["Explanation"];
export type TemplateList = Schemas["TemplateList"];
export type Whoami = Schemas["Whoami"];
