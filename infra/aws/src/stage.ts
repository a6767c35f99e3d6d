/** What differs between the environments. */
export interface Stage {
  readonly name: "dev" | "staging" | "production";
  readonly databaseClass: string;
  /** Days of automatic backups. */
  readonly backupDays: number;
  /** Days that logs stay. */
  readonly logDays: 30 | 90 | 365;
  readonly proxies: { readonly min: number; readonly max: number };
  readonly natGateways: number;
  /** Deleting the stack keeps database and keys. */
  readonly keepsData: boolean;
}

const STAGES: Record<Stage["name"], Stage> = {
  dev: { name: "dev", databaseClass: "t4g.medium", backupDays: 7, logDays: 30, proxies: { min: 2, max: 2 }, natGateways: 1, keepsData: false },
  staging: { name: "staging", databaseClass: "m7g.large", backupDays: 14, logDays: 90, proxies: { min: 2, max: 4 }, natGateways: 2, keepsData: true },
  production: { name: "production", databaseClass: "r7g.xlarge", backupDays: 35, logDays: 365, proxies: { min: 2, max: 10 }, natGateways: 2, keepsData: true },
};

/** The stage of a name; anything else is an error, never a default. */
export function stage(name: unknown): Stage {
  const found = typeof name === "string" && Object.hasOwn(STAGES, name) ? STAGES[name as Stage["name"]] : undefined;
  if (!found) throw new Error(`-c stage=… must be one of ${Object.keys(STAGES).join(", ")}`);
  return found;
}

/** The digest of an image; a tag could be moved, so it is refused. */
export function digest(value: unknown): string {
  if (typeof value !== "string" || !/^sha256:[0-9a-f]{64}$/.test(value)) throw new Error("-c digest=sha256:… must name an image");
  return value;
}

/** The ARN of the certificate of the API's load balancer. */
export function certificate(value: unknown): string {
  if (typeof value !== "string" || !/^arn:aws[\w-]*:acm:[\w-]+:\d{12}:certificate\/[\w-]+$/.test(value)) {
    throw new Error("-c certificate=… must be the ARN of a certificate");
  }
  return value;
}

/** The region; load balancers' access logs need to know it. */
export function region(value: unknown): string {
  if (typeof value !== "string" || !/^[a-z]{2}(-[a-z]+)+-\d$/.test(value)) throw new Error("AWS_REGION must name a region");
  return value;
}
