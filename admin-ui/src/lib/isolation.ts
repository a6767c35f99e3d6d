/** What a leak test has found, for people. Pure. */
import type { IsolationRun, Wall } from "../api/isolation";

/** How a set of walls is called, and what it shows. */
const WALLS: Record<string, string> = {
  "both walls": "The installation as it is.",
  "database alone": "The policy is only tried: what PostgreSQL stops by itself.",
};

export const aboutWall = (wall: string) => WALLS[wall] ?? "";

export interface MatrixCell {
  attacks: number;
  leaks: number;
}

export interface MatrixRow {
  attacker: string;
  class: string;
  /** One for each set of walls; null where nothing of this class attacked it yet. */
  cells: (MatrixCell | null)[];
}

/** Attacks by class, one column for each set of walls. */
export function matrix(walls: Wall[]): MatrixRow[] {
  const rows = new Map<string, MatrixRow>();
  walls.forEach((wall, column) => {
    for (const { attacker, class: kind, attacks, leaks } of wall.rows) {
      const key = `${attacker}\n${kind}`;
      const row = rows.get(key) ?? { attacker, class: kind, cells: walls.map(() => null) };
      row.cells[column] = { attacks, leaks };
      rows.set(key, row);
    }
  });
  return [...rows.values()].sort(
    (a, b) => a.attacker.localeCompare(b.attacker) || a.class.localeCompare(b.class),
  );
}

/** How far a test is, 0 to 1: the attacks' time, over all walls. */
export function progressOf(run: IsolationRun): number {
  const walls = run.wish.each_wall ? 2 : 1;
  const spent = run.walls.reduce((sum, { seconds }) => sum + Math.min(seconds, run.wish.seconds), 0);
  return Math.min(1, spent / (walls * Math.max(1, run.wish.seconds)));
}

/** What a test says in one sentence. */
export function verdict(run: IsolationRun): string {
  const statements = run.walls.find(({ wall }) => wall === "both walls")?.statements ?? 0;
  switch (run.state) {
    case "running":
      return run.cancelled_by ? "It is being cancelled." : "It runs.";
    case "passed":
      return `Nothing of another tenant came back in ${statements.toLocaleString()} attacks.`;
    case "leaked":
      return `${(run.leaks ?? 0).toLocaleString()} distinct leaks in ${statements.toLocaleString()} attacks. The report has a statement for each.`;
    case "cancelled":
      return `Cancelled by ${run.cancelled_by ?? "somebody"}. There is no report.`;
    default:
      return "It could not be run to its end, so it says nothing about leaks.";
  }
}
