/**
 * Walks through the UI in Chromium: takes screenshots, runs axe on each view, reports what the browser complains
 * about. Needs a running UI (`npm run preview` beside `npm run mock`, or an installation) and its token:
 *
 *   BASE_URL=http://127.0.0.1:4173 TOKEN=any CHROMIUM=/usr/bin/chromium npm run look
 *
 * Makes and rolls back a tenant. Fails when axe or the browser finds a fault.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { chromium } from "playwright-core";

const BASE = process.env.BASE_URL ?? "http://127.0.0.1:4173";
const TOKEN = process.env.TOKEN ?? "any";
const SHOTS = new URL("./shots/", import.meta.url).pathname;
const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
/** Every view is looked at in each of these. */
const LOOKS = [
  { name: "wide-light", width: 1280, height: 800, colorScheme: "light" },
  { name: "narrow-dark", width: 390, height: 844, colorScheme: "dark" },
  { name: "tiny-light", width: 360, height: 640, colorScheme: "light" },
];

mkdirSync(SHOTS, { recursive: true });
const faults = [];

function watch(page, look) {
  page.on("console", (message) => {
    // A refused request is logged as an error; the walk provokes some on purpose.
    const expected = message.text().includes("the server responded with a status of 4");
    if (["error", "warning"].includes(message.type()) && !expected)
      faults.push(`${look.name}: console: ${message.text()}`);
  });
  page.on("pageerror", (error) => faults.push(`${look.name}: page: ${error.message}`));
}

async function view(page, look, name) {
  await page.waitForTimeout(350);
  await page.screenshot({ path: `${SHOTS}${look.name}-${name}.png`, fullPage: true });
  const wide = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
  if (wide > 0) faults.push(`${look.name} ${name}: ${wide} px wider than the screen`);
  await page.evaluate(AXE);
  const { violations } = await page.evaluate(() => globalThis.axe.run(document));
  for (const { id, help, nodes } of violations)
    faults.push(
      `${look.name} ${name}: axe ${id}: ${help}: ${nodes.map((n) => `${n.target} (${n.any[0]?.message ?? ""})`).slice(0, 4)}`,
    );
  console.log(`${look.name} ${name}: ${violations.length} violations`);
}

async function signIn(page, look) {
  await page.goto(BASE);
  await view(page, look, "01-sign-in");
  await page.getByLabel("Token").fill("bad");
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("alert").waitFor();
  await view(page, look, "02-sign-in-refused");
  await page.getByLabel("Token").fill(TOKEN);
  await page.getByRole("button", { name: "Sign in" }).click();
  await page.getByRole("heading", { name: "Tenants" }).waitFor();
}

async function makeTenant(page, look, slug) {
  await page.getByRole("table").waitFor();
  await view(page, look, "03-tenants");
  await page.getByLabel("Slug or name contains").fill("nothing-has-this");
  await page.getByText("No tenant fits").waitFor();
  await view(page, look, "04-no-tenant-fits");
  await page.getByRole("link", { name: "New tenant" }).click();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByText("A slug is needed.").waitFor();
  await view(page, look, "05-wizard-invalid");
  await page.getByLabel("Slug").fill(slug);
  await page.getByLabel("Display name").fill("O'Brien & Söhne");
  await page.keyboard.press("Enter");
  await page.getByLabel("Template").selectOption({ index: 1 });
  await view(page, look, "06-wizard-configuration");
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("region", { name: "curl" }).waitFor();
  await view(page, look, "07-wizard-confirmation");
  await page.getByRole("button", { name: "Create tenant" }).click();
  await page.getByText("Shown once").waitFor();
  await page.getByRole("heading", { name: `${slug} is ready` }).waitFor();
  await view(page, look, "08-created");
  await page.getByRole("button", { name: "I have stored them" }).click();
  await page.getByRole("link", { name: "To the tenant" }).click();
}

async function changeTenant(page, look, slug) {
  await page.getByRole("table").waitFor();
  await view(page, look, "09-tenant");
  await page.getByRole("button", { name: "Rotate app" }).click();
  await view(page, look, "10-rotate");
  await page.getByRole("button", { name: "Make a new secret" }).click();
  await page.getByText("Shown once").waitFor();
  await view(page, look, "11-rotated");
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByLabel("Reason").fill("unpaid");
  await view(page, look, "12-suspend");
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  await page.getByRole("button", { name: "Roll back" }).click();
  await page.getByText("This will happen").waitFor();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByLabel("Slug, to confirm").fill("another");
  await dialog.getByRole("button", { name: "Roll back" }).click();
  await page.getByText(`Type ${slug} exactly.`).waitFor();
  await view(page, look, "13-rollback");
  await dialog.getByLabel("Reason").fill("no longer needed");
  await dialog.getByLabel("Slug, to confirm").fill(slug);
  await dialog.getByRole("button", { name: "Roll back" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("deleted", { exact: true }).first().waitFor();
  await view(page, look, "14-rolled-back");
}

async function readAudit(page, look) {
  await page.getByRole("link", { name: "Audit", exact: true }).click();
  await page.getByRole("table").waitFor();
  await view(page, look, "15-audit");
  await page
    .getByRole("button", { name: /^Details of/ })
    .first()
    .click();
  await page.getByRole("dialog").waitFor();
  await view(page, look, "16-audit-details");
  await page.keyboard.press("Escape");
  await page.getByLabel("Actor").fill("nobody-at-all");
  await page.getByRole("button", { name: "Apply" }).click();
  await page.getByText("No event fits").waitFor();
}

async function play(page, look) {
  await page.goto(`${BASE}/playground?tenant=acme`);
  await page.getByLabel("SQL").fill("SELECT * FROM public.users");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Permitted", { exact: true }).waitFor();
  await view(page, look, "17-permitted");
  await page.getByLabel("SQL").fill("SELECT * FROM t_somebody.users");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Denied", { exact: true }).waitFor();
  await view(page, look, "18-denied");
  await page.goto(`${BASE}/tenants/nobody`);
  await page.getByRole("alert").waitFor();
  await view(page, look, "19-no-such-tenant");
}

const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox"],
});
try {
  for (const look of LOOKS) {
    const page = await browser.newPage({
      viewport: { width: look.width, height: look.height },
      colorScheme: look.colorScheme,
      reducedMotion: "reduce",
    });
    page.setDefaultTimeout(15_000);
    watch(page, look);
    const slug = `look-${look.width}-${Date.now() % 100_000}`;
    try {
      await signIn(page, look);
      await makeTenant(page, look, slug);
      await changeTenant(page, look, slug);
      await readAudit(page, look);
      await play(page, look);
    } catch (error) {
      await page.screenshot({ path: `${SHOTS}${look.name}-stuck.png` });
      faults.push(`${look.name}: ${error.message}`);
    }
    await page.close();
  }
} finally {
  await browser.close();
}
console.log(faults.length === 0 ? "no faults" : `${faults.length} faults:\n${faults.join("\n")}`);
process.exitCode = faults.length === 0 ? 0 : 1;
