/**
 * Pictures of every page into docs/screenshots: desktop, phone, and dark. Needs a running installation, to which it adds
 * tenants, a migration and a leak test:
 *
 *   e2e/run.sh ENVFILE npm run screenshots
 *
 * Fails where axe finds something or a page is wider than the screen.
 */
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { api, BASE_URL, faultsOf, openBrowser, signedIn } from "./stack.mjs";

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
  ["migration", "/migrations", lastMigration],
  ["new-migration", "/migrations/new", plan],
  ["audit", "/audit", (page) => page.getByRole("table").waitFor()],
  ["audit-event", "/audit", details],
  ["audit-integrity", "/audit", integrity],
  ["playground", "/playground?tenant=acme", denied],
  ["policy", "/policy", (page) => page.getByLabel("Lines", { exact: true }).waitFor()],
  ["isolation", "/isolation", (page) => page.getByRole("heading", { name: "History" }).waitFor()],
  ["isolation-run", "/isolation", lastRun],
  ["approvals", "/approvals", (page) => page.getByRole("heading", { name: "Approvals" }).waitFor()],
  ["tokens", "/tokens", (page) => page.getByRole("heading", { name: "API tokens" }).waitFor()],
];

async function until(path, good) {
  for (let look = 0; look < 360; look += 1) {
    const found = await api("GET", path);
    if (good(found)) return;
    await new Promise((done) => setTimeout(done, 500));
  }
  throw new Error(`${path} does not become what is waited for`);
}

/** What the pages show: some tenants, one of whom a migration fails for, a token, and a leak test. */
async function prepare() {
  const file = (name, text) => ({ name, text });
  const first = file(
    "V1__orders.sql",
    "CREATE TABLE orders (id bigint PRIMARY KEY, total numeric NOT NULL);",
  );
  const second = file("V2__note.sql", "ALTER TABLE orders ADD COLUMN note text;");
  await api("POST", "/templates", { name: "shop", files: [first] });
  for (const slug of ["northwind", "contoso", "fabrikam", "tailspin", "wingtip", "adventure"]) {
    await api("POST", "/tenants", { slug, template: "shop" });
  }
  await api("POST", "/templates", { name: "shop", files: [first, second] });
  await api("POST", "/migrations", { template: "shop", canary: ["contoso"], waves: [50] });
  await until("/migrations", ({ items }) => items[0].state === "succeeded");
  await api("POST", "/tokens", { name: "nightly-report", roles: ["viewer"], days: 90 });
  await api("POST", "/isolation-runs", { seconds: 8 });
  await until("/isolation-runs", ({ items }) => ["passed", "leaked", "failed"].includes(items[0].state));
}

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

/** The newest migration, with its waves. */
async function lastMigration(page) {
  await page.getByRole("table").getByRole("link").first().click();
  await page.getByText("succeeded").first().waitFor();
}

/** The newest leak test. */
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
await prepare();
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
