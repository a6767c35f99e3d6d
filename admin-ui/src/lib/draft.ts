/** A new tenant before it is sent. */
import { z } from "zod";
import type { CreateTenant } from "../api/schemas";

/** Longest slug, in characters, as in the control plane. */
const SLUG_CHARS = 48;
/** Longest text for people, in bytes of UTF-8, as in the control plane. */
export const TEXT_BYTES = 200;
/** Slugs that would be mistaken for PostgreSQL's or Palisade's own databases. */
const RESERVED = ["postgres", "template0", "template1", "palisade", "pgbouncer", "admin", "replication"];

const CONTROL = /\p{Cc}/u;

/** Text for people: one line, limited in bytes. */
export const shortText = z
  .string()
  .trim()
  .refine((text) => new TextEncoder().encode(text).length <= TEXT_BYTES, `At most ${TEXT_BYTES} bytes.`)
  .refine((text) => !CONTROL.test(text), "No control characters.");

/** Why something is done: needed, because it stands in the audit trail. */
export const reasonText = shortText.refine((text) => text !== "", "Say why; it stands in the audit trail.");

export const draftSchema = z.object({
  slug: z
    .string()
    .min(1, "A slug is needed.")
    .max(SLUG_CHARS, `At most ${SLUG_CHARS} characters.`)
    .regex(
      /^[a-z](?:-?[a-z0-9])*$/,
      "Lower-case letters, digits and single hyphens; a letter first, no hyphen last.",
    )
    .refine((slug) => !RESERVED.includes(slug), "This slug is reserved."),
  display_name: shortText,
  template: z.string(),
  plan: shortText,
});

export type Draft = z.infer<typeof draftSchema>;

export const EMPTY_DRAFT: Draft = { slug: "", display_name: "", template: "", plan: "" };

/** The request for a draft; what is left empty is the control plane's to choose. */
export function requestOf(draft: Draft): CreateTenant {
  const { slug, display_name, template, plan } = draft;
  return {
    slug,
    ...(display_name && { display_name }),
    ...(template && { template }),
    ...(plan && { plan }),
  };
}

export interface KeyedRequest {
  body: CreateTenant;
  key: string;
}

/** Keeps the key while the request stays the same, so that a repeat makes nothing twice; else takes a new one. */
export function keyedRequest(earlier: KeyedRequest | null, body: CreateTenant): KeyedRequest {
  if (earlier && JSON.stringify(earlier.body) === JSON.stringify(body)) return earlier;
  return { body, key: randomKey() };
}

/** 128 random bits in hexadecimal. `crypto.randomUUID` exists only on HTTPS and loopback. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
