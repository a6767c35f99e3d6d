/** Text in a storage that a browser may forbid: then it is forgotten with the page. */

type Area = "sessionStorage" | "localStorage";

export function readStored(area: Area, key: string): string | null {
  try {
    return window[area].getItem(key);
  } catch {
    return null;
  }
}

/** Keeps a text; null forgets it. */
export function writeStored(area: Area, key: string, text: string | null) {
  try {
    if (text === null) window[area].removeItem(key);
    else window[area].setItem(key, text);
  } catch {
    // Forbidden or full: nothing is kept.
  }
}
