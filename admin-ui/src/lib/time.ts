/** Times for people. */

const FORMAT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/** In the reader's zone and language. */
export function localTime(iso: string): string {
  const date = new Date(iso);
  return Number.isNaN(date.getTime()) ? iso : FORMAT.format(date);
}

const RELATIVE = new Intl.RelativeTimeFormat(undefined, { numeric: "auto" });
const UNITS = [
  ["year", 365 * 86_400],
  ["month", 30 * 86_400],
  ["day", 86_400],
  ["hour", 3_600],
  ["minute", 60],
] as const;

/** How far a moment is from `now` (milliseconds), such as "3 hours ago". */
export function relativeTime(iso: string, now: number): string {
  const seconds = (new Date(iso).getTime() - now) / 1_000;
  if (Number.isNaN(seconds)) return iso;
  const unit = UNITS.find(([, size]) => Math.abs(seconds) >= size);
  if (unit) return RELATIVE.format(Math.trunc(seconds / unit[1]), unit[0]);
  return Math.abs(seconds) < 10
    ? RELATIVE.format(0, "second")
    : RELATIVE.format(Math.trunc(seconds), "second");
}

/** The reader's zone, such as `Europe/Vienna`. */
export function localZone(): string {
  return Intl.DateTimeFormat().resolvedOptions().timeZone;
}

/** How long something took, such as `42 ms`, `1.5 s`, `2 min 5 s`; null where an end is missing. */
export function duration(from: string | null | undefined, to: string | null | undefined): string | null {
  if (!from || !to) return null;
  const ms = new Date(to).getTime() - new Date(from).getTime();
  return Number.isNaN(ms) || ms < 0 ? null : span(ms);
}

/** Milliseconds in words. */
export function span(ms: number): string {
  if (ms < 1_000) return `${ms} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1_000)} s`;
}

/** A `datetime-local` value in the reader's zone, as RFC 3339; empty for one that is no time. */
export function toIso(local: string): string {
  const date = new Date(local);
  return local === "" || Number.isNaN(date.getTime()) ? "" : date.toISOString();
}

/** The reverse of {@link toIso}, to the second. */
export function toLocalInput(iso: string): string {
  const date = new Date(iso);
  if (iso === "" || Number.isNaN(date.getTime())) return "";
  const shifted = new Date(date.getTime() - date.getTimezoneOffset() * 60_000);
  return shifted.toISOString().slice(0, 19);
}
