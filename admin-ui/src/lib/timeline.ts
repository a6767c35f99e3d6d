/** An operation as its events tell it. */
import { z } from "zod";
import type { Operation, Step } from "../api/schemas";

const stepEvent = z.object({
  operation_id: z.string(),
  at: z.string(),
  name: z.string(),
  state: z.string(),
  detail: z.string().nullish(),
});

const operationEvent = z.object({
  operation_id: z.string(),
  tenant_id: z.string(),
  at: z.string(),
  kind: z.string(),
  state: z.string(),
  error: z.object({ message: z.string() }).nullish(),
});

/** One line of an operation's log. */
export interface LogLine {
  at: string;
  text: string;
}

export interface Timeline {
  operation: Operation;
  log: LogLine[];
}

/** Whether an operation has come to its end. */
export function isOver(operation: Operation): boolean {
  return operation.state !== "running";
}

/** The timeline after one more event; events of other operations and shapes change nothing. */
export function withEvent(timeline: Timeline, kind: string, data: unknown): Timeline {
  if (kind === "step") {
    const step = stepEvent.safeParse(data).data;
    if (step?.operation_id !== timeline.operation.id) return timeline;
    return { operation: withStep(timeline.operation, step), log: [...timeline.log, stepLine(step)] };
  }
  const told = kind === "operation" ? operationEvent.safeParse(data).data : undefined;
  if (told?.operation_id !== timeline.operation.id) return timeline;
  const over = told.state !== "running";
  const operation = {
    ...timeline.operation,
    state: told.state,
    error: told.error ?? null,
    finished_at: over ? told.at : null,
  };
  const text = `${told.kind} ${told.state}${told.error ? `: ${told.error.message}` : ""}`;
  return { operation, log: [...timeline.log, { at: told.at, text }] };
}

type StepEvent = z.infer<typeof stepEvent>;

function stepLine({ at, name, state, detail }: StepEvent): LogLine {
  return { at, text: `${name} ${state}${detail ? `: ${detail}` : ""}` };
}

function withStep(operation: Operation, told: StepEvent): Operation {
  const { name, state, at, detail } = told;
  const before = operation.steps.find((step) => step.name === name);
  const over = state !== "running" && state !== "pending";
  const step: Step = {
    name,
    state,
    detail: detail ?? null,
    started_at: before?.started_at ?? at,
    finished_at: over ? (before?.finished_at ?? at) : null,
  };
  const steps = before
    ? operation.steps.map((other) => (other.name === name ? step : other))
    : [...operation.steps, step];
  return { ...operation, steps };
}

/**
 * How long a step took, in milliseconds. A step whose beginning nobody noted took no time that is known: null, so
 * that nothing false ("0 ms") is shown.
 */
export function stepMillis(step: Step): number | null {
  if (!step.started_at || !step.finished_at) return null;
  const ms = Date.parse(step.finished_at) - Date.parse(step.started_at);
  return ms > 0 ? ms : null;
}
