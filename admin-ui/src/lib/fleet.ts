/** A migration's targets, grouped for the eye. */
import type { Migration, Target, TargetCounts } from "../api/schemas";

export interface Failure {
  /** The error's first line, which equal failures share. */
  error: string;
  sqlstate: string | null;
  slugs: string[];
}

/** Failed targets by what they failed with, the largest group first. */
export function failures(targets: Target[]): Failure[] {
  const groups = new Map<string, Failure>();
  for (const { state, error, sqlstate, slug } of targets) {
    if (state !== "failed") continue;
    const line = error?.split("\n")[0] ?? "no reason was told";
    const key = `${sqlstate ?? ""} ${line}`;
    const group = groups.get(key) ?? { error: line, sqlstate: sqlstate ?? null, slugs: [] };
    group.slugs.push(slug);
    groups.set(key, group);
  }
  return [...groups.values()].sort((a, b) => b.slugs.length - a.slugs.length);
}

/** Targets by their wave, in order. */
export function byWave(targets: Target[]): [wave: number, targets: Target[]][] {
  const waves = new Map<number, Target[]>();
  for (const target of targets) waves.set(target.wave, [...(waves.get(target.wave) ?? []), target]);
  return [...waves].sort(([a], [b]) => a - b);
}

/** How much of a migration is behind it, in whole percent. */
export function percentDone({ done, failed, pending, running, skipped }: TargetCounts): number {
  const all = done + failed + pending + running + skipped;
  return all === 0 ? 100 : Math.floor(((done + failed + skipped) / all) * 100);
}

/** What can be done with a migration in its state. */
export function movesIn({ state, targets }: Migration) {
  return {
    pause: state === "running",
    resume: state === "paused",
    abort: state === "running" || state === "paused",
    retry: (state === "paused" || state === "failed") && targets.failed > 0,
  };
}
