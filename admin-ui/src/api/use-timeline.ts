/** A running operation, live. */
import { useEffect, useRef, useState } from "react";
import { isOver, withEvent, type Timeline } from "../lib/timeline";
import type { Operation } from "./schemas";
import { watch, type Connection } from "./watch";

/** The timeline of an operation as its events come, and how the connection stands. */
export function useTimeline(operation: Operation): Timeline & { connection: Connection } {
  const [timeline, setTimeline] = useState<Timeline>({ operation, log: [] });
  const [connection, setConnection] = useState<Connection>("opening");
  const current = useRef(timeline);
  const { id } = operation;
  useEffect(() => {
    const stop = new AbortController();
    current.current = { operation, log: [] };
    setTimeline(current.current);
    let heardEnd = false;
    void watch({
      path: `/operations/${encodeURIComponent(id)}/events`,
      signal: stop.signal,
      onConnection: setConnection,
      isOver: () => heardEnd,
      onEvent: ({ kind, data }) => {
        current.current = withEvent(current.current, kind, parsed(data));
        heardEnd = kind === "operation" && isOver(current.current.operation);
        setTimeline(current.current);
      },
    });
    return () => stop.abort();
    // Another operation is another stream; the same one's newer reading is not.
  }, [id]);
  // What was read by asking may be newer than what a lost connection told last.
  const shown = isOver(operation) ? operation : timeline.operation;
  return { operation: shown, log: timeline.log, connection };
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
