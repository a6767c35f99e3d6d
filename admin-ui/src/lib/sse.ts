/** Server-sent events from a stream of text, as https://html.spec.whatwg.org/#event-stream-interpretation. */

export interface ServerEvent {
  /** The last id that was told; sent back to go on behind it. */
  id: string;
  kind: string;
  data: string;
}

/** Longest event, in characters; a longer one ends the stream. */
export const EVENT_CHARS = 1 << 20;

/** Takes text as it comes and gives the events that are complete. */
export class EventReader {
  #rest = "";
  #id = "";

  read(text: string): ServerEvent[] {
    this.#rest = (this.#rest + text).replaceAll("\r\n", "\n");
    if (this.#rest.length > EVENT_CHARS) throw new Error("an event is too long");
    const blocks = this.#rest.split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map((block) => this.#event(block)).filter((event) => event !== null);
  }

  #event(block: string): ServerEvent | null {
    let kind = "message";
    const data: string[] = [];
    for (const line of block.split("\n")) {
      const [, name, value] = /^([^:]+)(?:: ?(.*))?$/.exec(line) ?? [];
      if (name === "id") this.#id = value ?? "";
      else if (name === "event") kind = value ?? "";
      else if (name === "data") data.push(value ?? "");
    }
    return data.length === 0 ? null : { id: this.#id, kind, data: data.join("\n") };
  }
}
