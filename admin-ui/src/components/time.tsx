import { chakra } from "@chakra-ui/react";
import { useEffect, useState } from "react";
import { localTime, relativeTime } from "../lib/time";

/** Time between two looks at the clock, in milliseconds. */
const TICK_MS = 30_000;

interface TimeProps {
  iso: string | null | undefined;
  /** In full at once, for trails that are compared line by line. */
  absolute?: boolean;
}

/** A moment, relative; in full and in the reader's zone on hover and on focus. */
export function Time({ iso, absolute = false }: TimeProps) {
  const now = useNow();
  if (!iso) return <>–</>;
  const full = localTime(iso);
  if (absolute) return <time dateTime={iso} title={iso} children={full} />;
  return (
    <chakra.span className="moment" tabIndex={0} position="relative" whiteSpace="nowrap" title={full}>
      <time dateTime={iso}>{relativeTime(iso, now)}</time>
      <chakra.span className="moment-full">{full}</chakra.span>
    </chakra.span>
  );
}

function useNow(): number {
  const [now, setNow] = useState(Date.now);
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), TICK_MS);
    return () => clearInterval(timer);
  }, []);
  return now;
}
