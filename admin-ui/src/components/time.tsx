import { localTime } from "../lib/time";

/** A moment in the reader's zone; UTC on hover and for programs. */
export function Time({ iso }: { iso: string | null }) {
  if (!iso) return <>–</>;
  return (
    <time dateTime={iso} title={iso}>
      {localTime(iso)}
    </time>
  );
}
