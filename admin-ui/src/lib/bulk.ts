/** One change of many tenants, one after the other. */
import type { Tenant } from "../api/schemas";
import { actionsIn } from "./states";

export type BulkAction = "suspend" | "resume";

/** The tenants that an action fits, and those that it does not. */
export function bulkPlan(tenants: Tenant[], action: BulkAction) {
  const fits = tenants.filter((tenant) => actionsIn(tenant.observed_state)[action]);
  return { fits, left: tenants.length - fits.length };
}

export interface BulkResult {
  done: number;
  failed: { slug: string; error: unknown }[];
}

/** Runs `change` for each, and goes on behind a failure; `onProgress` hears after each. */
export async function runBulk(
  tenants: Tenant[],
  change: (tenant: Tenant) => Promise<unknown>,
  onProgress: (result: BulkResult) => void,
): Promise<BulkResult> {
  const result: BulkResult = { done: 0, failed: [] };
  for (const tenant of tenants) {
    try {
      await change(tenant);
      result.done += 1;
    } catch (error) {
      result.failed.push({ slug: tenant.slug, error });
    }
    onProgress({ ...result, failed: [...result.failed] });
  }
  return result;
}
