/**
 * The API's types, in the form that `npm run generate` writes from the control plane's OpenAPI document.
 * Written by hand until that document is published; times are RFC 3339 in UTC.
 */
export interface components {
  schemas: {
    Problem: { type: string; title: string; status: number; detail: string; instance?: string };
    ObservedState: "pending" | "provisioning" | "verifying" | "active" | "suspended" | "failed" | "deleted";
    Login: { name: string; kind: string; enabled: boolean };
    Tenant: {
      id: string;
      slug: string;
      display_name: string;
      cluster: string;
      template: string;
      template_version: number;
      plan: string;
      desired_state: string;
      observed_state: components["schemas"]["ObservedState"];
      pool_mode: string;
      created_at: string;
      updated_at: string;
      logins: components["schemas"]["Login"][];
    };
    TenantPage: { items: components["schemas"]["Tenant"][]; next_cursor: string | null };
    StepState: "pending" | "running" | "done" | "failed" | "skipped";
    Step: {
      name: string;
      state: components["schemas"]["StepState"];
      started_at: string | null;
      finished_at: string | null;
      detail: string | null;
    };
    Operation: {
      id: string;
      tenant_id: string;
      kind: string;
      state: "running" | "succeeded" | "failed";
      requested_by: string;
      created_at: string;
      finished_at: string | null;
      error: { message: string } | null;
      steps: components["schemas"]["Step"][];
    };
    TenantStatus: {
      tenant_id: string;
      slug: string;
      desired_state: string;
      observed_state: components["schemas"]["ObservedState"];
      operation: components["schemas"]["Operation"] | null;
    };
    Credential: { login: string; kind: string; secret: string; url: string };
    CreateTenant: { slug: string; display_name?: string; template?: string; plan?: string };
    CreatedTenant: {
      tenant: components["schemas"]["Tenant"];
      operation: components["schemas"]["Operation"] | null;
      /** Empty when an earlier request with the same key made the tenant: secrets are told once. */
      credentials: components["schemas"]["Credential"][];
    };
    RollbackPlan: { effects: string[]; confirm: string };
    RolledBack: {
      tenant: components["schemas"]["Tenant"];
      operation: components["schemas"]["Operation"] | null;
    };
    AuditEvent: {
      v: number;
      id: string;
      at: string;
      class: "A" | "B" | "C";
      plane: "data" | "control";
      action: string;
      decision: "allow" | "deny";
      result: string;
      actor: string;
      tenant_id?: string;
      tenant?: string;
      client_addr?: string;
      session?: string;
      operation?: string;
      role_kind?: string;
      verb?: string;
      shape?: string;
      object?: string;
      reason?: string;
      rule?: string;
      epoch?: number;
      sqlstate?: string;
      detail?: unknown;
    };
    AuditPage: { items: components["schemas"]["AuditEvent"][]; next_cursor: string | null };
    ExplainQuestion: { tenant: string; as: string; sql: string };
    ExplainedAccess: {
      class: string;
      action: string;
      schema: string | null;
      name: string;
      resolved: string;
      /** The policy line that permits it; absent where none does. */
      rule: string | null;
      /** Why it is refused. */
      reason?: string | null;
      reader: string;
    };
    ExplainedStatement: {
      verb: string;
      kind: string;
      accesses: components["schemas"]["ExplainedAccess"][];
      effects: string[];
    };
    Explanation: {
      verdict: "permit" | "deny";
      rewritten: string | null;
      denial: {
        sqlstate: string;
        message: string;
        reason: string;
        hint: string | null;
        rule?: string | null;
      } | null;
      /** Whether the second reader could read the text too. */
      witnessed?: boolean;
      statements: components["schemas"]["ExplainedStatement"][];
    };
    Template: { name: string; version: number; checksum: string };
    TemplateList: { items: components["schemas"]["Template"][] };
    Whoami: { subject: string };
  };
}
