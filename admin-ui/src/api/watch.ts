/** Watches a stream of server-sent events; comes again behind the last event that was read. */
import { EventReader, type ServerEvent } from "../lib/sse";
import { ApiError, openStream } from "./client";

/** First wait before a stream is opened again, in milliseconds; doubles up to {@link LONGEST_WAIT_MS}. */
const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 15_000;

export type Connection = "opening" | "live" | "lost";

interface Watch {
  path: string;
  signal: AbortSignal;
  onEvent: (event: ServerEvent) => void;
  onConnection: (connection: Connection) => void;
  /** Whether nothing more will come. */
  isOver: () => boolean;
}

/** Runs until `signal` fires, nothing more will come, or the control plane refuses. */
export async function watch(wish: Watch): Promise<void> {
  let lastId = "";
  let wait = FIRST_WAIT_MS;
  while (!wish.signal.aborted && !wish.isOver()) {
    try {
      const headers = { Accept: "text/event-stream", ...(lastId && { "Last-Event-ID": lastId }) };
      const response = await openStream(wish.path, { headers, signal: wish.signal });
      wish.onConnection("live");
      await readAll(response, (event) => {
        lastId = event.id || lastId;
        wait = FIRST_WAIT_MS;
        wish.onEvent(event);
      });
    } catch (error) {
      if (wish.signal.aborted || isRefusal(error)) return;
      wish.onConnection("lost");
    }
    if (wish.signal.aborted || wish.isOver()) return;
    await sleep(wait, wish.signal);
    wait = Math.min(wait * 2, LONGEST_WAIT_MS);
  }
}

/** An answer that another try would not change. */
function isRefusal(error: unknown): boolean {
  const status = error instanceof ApiError ? error.problem.status : 0;
  return status >= 400 && status < 500 && status !== 429;
}

async function readAll(response: Response, onEvent: (event: ServerEvent) => void) {
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader();
  const events = new EventReader();
  while (reader) {
    const { done, value } = await reader.read();
    if (done) return;
    events.read(value).forEach(onEvent);
  }
}

function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), resolve()), { once: true });
  });
}
