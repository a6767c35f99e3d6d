/** The real stack that the tests run against, and a browser to look at it with. */
import { execFile } from "node:child_process";
import { createPrivateKey, sign } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { promisify } from "node:util";
import { chromium } from "playwright-core";

const { BASE_URL, PALISADE_DATABASE_URL, JWT_KEY, CHROMIUM = "/usr/bin/chromium" } = process.env;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** How long a page may take for one thing, in milliseconds. */
const PATIENCE_MS = Number(process.env.E2E_PATIENCE_MS ?? 20_000);

export { BASE_URL };
export const run = promisify(execFile);

/** A statement through a connection string; gives what psql prints. */
export async function psql(url, sql) {
  const { stdout } = await run("psql", [url, "-X", "-At", "-v", "ON_ERROR_STOP=1", "-c", sql]);
  return stdout.trim();
}

/** A statement as PostgreSQL's own superuser, beside Palisade. */
export const asPostgres = (sql) => psql(PALISADE_DATABASE_URL, sql);

/** The beginning of an Ed25519 key in PKCS #8, version 1, before its 32 bytes (RFC 8410). */
const PKCS8 = Buffer.from("302e020100300506032b657004220420", "hex");

/** The signing key. Palisade writes version 2 of PKCS #8 (RFC 5958), which Node does not read. */
function signingKey() {
  const der = Buffer.from(readFileSync(JWT_KEY, "utf8").replace(/-----[^-]+-----|\s/g, ""), "base64");
  const at = der.indexOf(PKCS8.subarray(-4)) + 4;
  return createPrivateKey({
    key: Buffer.concat([PKCS8, der.subarray(at, at + 32)]),
    format: "der",
    type: "pkcs8",
  });
}

/** An API token of these roles, good for an hour. */
export function tokenOf(...roles) {
  const now = Math.floor(Date.now() / 1000);
  const claims = {
    sub: `e2e-${roles.join("-")}`,
    iss: "palisade",
    aud: "palisade-api",
    iat: now,
    exp: now + 3600,
    roles,
  };
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ typ: "JWT", alg: "EdDSA" })}.${part(claims)}`;
  return `${text}.${sign(null, Buffer.from(text), signingKey()).toString("base64url")}`;
}

/** An answer of the API to somebody with the role `admin`; throws where it refuses. */
export async function api(method, path, body) {
  const answer = await fetch(`${BASE_URL}/api/v1${path}`, {
    method,
    headers: { Authorization: `Bearer ${tokenOf("admin")}`, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const said = await answer.json();
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${said.detail}`);
  return said;
}

export const openBrowser = () =>
  chromium.launch({ executablePath: CHROMIUM, args: ["--no-sandbox", "--disable-gpu"] });

/** A page that somebody with these roles is signed in on. */
export async function signedIn(browser, roles, options = {}) {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    reducedMotion: "reduce",
    ...options,
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE_MS);
  await page.goto(BASE_URL);
  await page.getByLabel("Token").fill(tokenOf(...roles));
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Home" }).waitFor();
  return page;
}

/** What axe finds on the page as it is, and whether the page is wider than the screen. */
export async function faultsOf(page) {
  await page.waitForTimeout(350);
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { violations } = await globalThis.axe.run(document, {
      runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    });
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.target).join(" ")}`);
  });
  const wider = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  return wider > 0 ? [...found, `${wider} px wider than the screen`] : found;
}
