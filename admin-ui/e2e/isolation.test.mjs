/** Leak tests of the installation: who may, what is shown meanwhile, the signed report, and what is left. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { asPostgres, BASE_URL, faultsOf, openBrowser, signedIn, tokenOf } from "./stack.mjs";

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);
let browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

const start = (roles, body = { seconds: 5 }) =>
  fetch(`${BASE_URL}/api/v1/isolation-runs`, {
    method: "POST",
    headers: { Authorization: `Bearer ${tokenOf(...roles)}`, "Content-Type": "application/json" },
    body: JSON.stringify(body),
  });

/** Waits until nothing of any leak test is left: no tenant that is not on its way out, and no good token. */
async function nothingLeft() {
  const left = () =>
    asPostgres(`SELECT (SELECT count(*) FROM palisade_control.tenants WHERE slug LIKE 'probe-%'
        AND observed_state NOT IN ('deleted', 'purging'))
      + (SELECT count(*) FROM palisade_control.api_tokens WHERE name LIKE 'isolation-%' AND revoked_at IS NULL)
      + (SELECT count(*) FROM palisade_control.isolation_runs WHERE NOT cleaned)`);
  for (let look = 0; look < 60; look += 1) {
    if ((await left()) === "0") return;
    await new Promise((done) => setTimeout(done, 500));
  }
  assert.fail("a leak test has left something");
}

test("a leak test fills its matrix, ends with a signed report, and leaves nothing", async () => {
  const page = await signedIn(browser, ["security"]);
  await page.goto(`${BASE_URL}/isolation`);
  await accessible(page, "before");
  await page.getByLabel("Seconds of attack").fill("0");
  await page.getByText("At least 1.").waitFor();
  await page.getByLabel("Seconds of attack").fill("6");
  await page.getByRole("button", { name: "Start" }).click();
  await page.getByRole("heading", { name: "Leak test", exact: true, level: 1 }).waitFor();
  const cells = page.getByRole("cell", { name: /^\D*0 of [\d,]+$/ });
  await cells.first().waitFor({ timeout: 120_000 });
  await accessible(page, "running");
  assert.equal((await start(["security"])).status, 409, "one at a time");
  await page.getByText(/Nothing of another tenant came back in/).waitFor({ timeout: 180_000 });
  await page.getByRole("columnheader", { name: /database alone/ }).waitFor();
  await accessible(page, "passed");
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Signed report (JSON)" }).click(),
  ]);
  const report = JSON.parse(readFileSync(await file.path(), "utf8"));
  const list = await fetch(`${BASE_URL}/api/v1/isolation-runs`, {
    headers: { Authorization: `Bearer ${tokenOf("viewer")}` },
  });
  const { key, items } = await list.json();
  assert.equal(report.key, key, "signed by the installation's key");
  assert.ok(report.note.includes("sha256"), "and what is signed is the report");
  assert.equal(items[0].state, "passed");
  const [pageFile] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Page (HTML)" }).click(),
  ]);
  assert.match(readFileSync(await pageFile.path(), "utf8"), /Palisade leak test/);
  await page.goto(`${BASE_URL}/isolation`);
  await page.getByRole("region", { name: "Leak tests (table)" }).getByText("passed").first().waitFor();
  await accessible(page, "history");
  await page.context().close();
  await nothingLeft();
});

test("a leak test that is cancelled ends, without a report", async () => {
  const { id } = await (await start(["security"], { seconds: 120 })).json();
  const page = await signedIn(browser, ["security"]);
  await page.goto(`${BASE_URL}/isolation/${id}`);
  await page.getByRole("button", { name: "Cancel the test" }).click();
  await page.getByText("Cancelled by e2e-security").waitFor({ timeout: 60_000 });
  assert.equal(await page.getByRole("heading", { name: "Report" }).count(), 0);
  await accessible(page, "cancelled");
  await page.context().close();
  await nothingLeft();
});

test("a viewer sees leak tests and may start none", async () => {
  const page = await signedIn(browser, ["viewer"]);
  await page.goto(`${BASE_URL}/isolation`);
  const button = page.getByRole("button", { name: "Start" });
  await button.waitFor();
  assert.equal(await button.getAttribute("aria-disabled"), "true");
  await accessible(page, "as viewer");
  for (const role of ["viewer", "auditor", "operator"]) {
    assert.equal((await start([role])).status, 403, role);
  }
  await page.context().close();
});
