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

/** Where the wizard stands; lives in this tab's storage, so that a reload loses nothing. Holds no secret. */
const savedSchema = z.object({
  draft: z.object({ slug: z.string(), display_name: z.string(), template: z.string(), plan: z.string() }),
  step: z.number().int().min(0).max(2),
  request: z
    .object({ body: z.looseObject({ slug: z.string() }), key: z.string().regex(/^[0-9a-f]{32}$/) })
    .nullable(),
});

export interface SavedWizard {
  draft: Draft;
  step: number;
  request: KeyedRequest | null;
}

export const NEW_WIZARD: SavedWizard = { draft: EMPTY_DRAFT, step: 0, request: null };

/** A wizard as it was saved; a new one where nothing, or nothing that fits, was. */
export function readWizard(text: string | null): SavedWizard {
  try {
    const saved = savedSchema.parse(JSON.parse(text ?? ""));
    // The last step shows a request; without one it cannot be come back to.
    return { ...saved, step: saved.step === 2 && saved.request === null ? 1 : saved.step };
  } catch {
    return NEW_WIZARD;
  }
}

/** The same wish as a new request: for another try after one that was answered. */
export function anotherTry(request: KeyedRequest): KeyedRequest {
  return { ...request, key: randomKey() };
}

/** 128 random bits in hexadecimal. `crypto.randomUUID` exists only on HTTPS and loopback. */
function randomKey(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
