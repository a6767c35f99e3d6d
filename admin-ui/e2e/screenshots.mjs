/**
 * Pictures of every page into docs/screenshots: desktop, phone, and dark. Needs a running installation:
 *
 *   e2e/run.sh ENVFILE npm run screenshots
 *
 * Fails where axe finds something or a page is wider than the screen.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { BASE_URL, faultsOf, openBrowser, signedIn } from "./stack.mjs";

const TARGET = fileURLToPath(new URL("../../docs/screenshots/", import.meta.url));
/** JPEG's quality: the pictures are looked at, not measured. */
const QUALITY = 60;

const LOOKS = {
  desktop: { viewport: { width: 1280, height: 800 } },
  phone: { viewport: { width: 320, height: 700 } },
  dark: { viewport: { width: 1280, height: 800 }, colorScheme: "dark" },
};

const PAGES = [
  ["home", "/", (page) => page.getByText("Tenants by state").waitFor()],
  ["tenants", "/tenants", (page) => page.getByRole("table").waitFor()],
  ["tenants-none-fits", "/tenants?q=nothing", (page) => page.getByText("No tenant fits").waitFor()],
  ["new-tenant", "/tenants/new", taken],
  ["new-tenant-confirmation", "/tenants/new", confirmation],
  ["tenant", "/tenants/acme", (page) => page.getByText("no drift").waitFor()],
  ["tenant-delete", "/tenants/acme", deletion],
  ["tenant-missing", "/tenants/nobody", (page) => page.getByRole("alert").waitFor()],
  ["migrations", "/migrations", (page) => page.getByRole("heading", { name: "Migrations" }).waitFor()],
  ["new-migration", "/migrations/new", plan],
  ["audit", "/audit", (page) => page.getByRole("table").waitFor()],
  ["audit-event", "/audit", details],
  ["audit-integrity", "/audit", integrity],
  ["playground", "/playground?tenant=acme", denied],
  ["policy", "/policy", (page) => page.getByLabel("Lines", { exact: true }).waitFor()],
  ["isolation", "/isolation", (page) => page.getByRole("heading", { name: "History" }).waitFor()],
  ["isolation-run", "/isolation", lastRun],
  ["approvals", "/approvals", (page) => page.getByRole("heading", { name: "Approvals" }).waitFor()],
  ["tokens", "/tokens", (page) => page.getByRole("heading", { name: "Tokens" }).waitFor()],
];

async function taken(page) {
  await page.getByLabel("Slug").fill("acme");
  await page.getByText(/is taken/).waitFor();
}

async function confirmation(page) {
  await page.getByLabel("Slug").fill("initech");
  await page.getByText("initech is free").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("Plan").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("region", { name: "curl" }).waitFor();
}

async function deletion(page) {
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  await page.getByText("This will happen").waitFor();
}

async function plan(page) {
  await page.getByRole("button", { name: "Show the plan" }).click();
  await page.getByRole("heading", { name: "The plan" }).waitFor();
}

async function details(page) {
  const button = page.getByRole("button", { name: /^Details of/ });
  await button.first().click();
  await page.getByRole("dialog").waitFor();
}

async function integrity(page) {
  await page.getByRole("button", { name: /: details$/ }).click();
  await page.getByText(/events were held to their hashes/).waitFor();
}

/** The newest leak test that passed; one must have been made. */
async function lastRun(page) {
  await page.getByRole("region", { name: "Leak tests (table)" }).getByRole("link").first().click();
  await page.getByRole("heading", { name: "Attacks and leaks" }).waitFor();
}

async function denied(page) {
  await page.getByLabel("SQL").fill("SELECT * FROM public.users; DROP TABLE users");
  await page.getByRole("button", { name: "Explain" }).click();
  await page.getByText("Denied", { exact: true }).waitFor();
}

mkdirSync(TARGET, { recursive: true });
const browser = await openBrowser();
const faults = [];
for (const [look, options] of Object.entries(LOOKS)) {
  const page = await signedIn(browser, ["admin"], options);
  page.on("pageerror", (error) => faults.push(`${look}: ${error.message}`));
  for (const [name, path, ready] of PAGES) {
    try {
      await page.goto(BASE_URL + path);
      await ready(page);
      faults.push(...(await faultsOf(page)).map((fault) => `${name} ${look}: ${fault}`));
      await page.screenshot({
        path: `${TARGET}${name}-${look}.jpg`,
        type: "jpeg",
        quality: QUALITY,
        fullPage: true,
      });
    } catch (error) {
      faults.push(`${name} ${look}: ${error.message}`);
    }
  }
  await page.context().close();
}
await browser.close();
console.log(faults.length === 0 ? "no faults" : faults.join("\n"));
process.exitCode = faults.length === 0 ? 0 : 1;
