/** A tenant's page: rotation with grace, policy mode, export and clone, against the real stack. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { api, BASE_URL, faultsOf, openBrowser, psql, signedIn } from "./stack.mjs";

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);
const slug = `page-${Date.now().toString(36)}`;
let browser;
let urls;

before(async () => {
  browser = await openBrowser();
  const { credentials } = await api("POST", "/tenants", { slug });
  urls = Object.fromEntries(credentials.map(({ kind, url }) => [kind, url]));
});
after(() => browser.close());

test("a rotation with grace keeps the old secret good beside the new one", async () => {
  const page = await signedIn(browser, ["operator"]);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("button", { name: "Rotate app" }).click();
  await page.getByLabel("The old secret").selectOption("3600");
  await accessible(page, "rotate");
  await page.getByRole("button", { name: "Make a new secret" }).click();
  const fresh = await page.getByRole("region", { name: "Connection string for app" }).textContent();
  assert.notEqual(fresh, urls.app);
  assert.equal(await psql(fresh, "SELECT 1"), "1");
  assert.equal(await psql(urls.app, "SELECT 1"), "1");
  await page.context().close();
});

/** What psql answers when it answers so, asked for five seconds: proxies hear of a login within one. */
async function soon(url, sql, wanted) {
  const until = Date.now() + 5_000;
  for (;;) {
    const answer = await psql(url, sql).catch((error) => error.stderr);
    if (wanted.test(answer) || Date.now() > until) return answer;
  }
}

test("a login is added, of a kind that there is, and removed", async () => {
  const page = await signedIn(browser, ["operator"]);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("button", { name: "Add a login" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Name").fill("Reports 1");
  await dialog.getByLabel("Kind").fill("nobody");
  await dialog.getByRole("button", { name: "Add the login" }).click();
  await dialog.getByText("a letter first").waitFor();
  await dialog.getByLabel("Name").fill("reports");
  await dialog.getByRole("button", { name: "Add the login" }).click();
  await dialog.getByText("the policy in force knows the kinds app, owner, readonly").first().waitFor();
  await dialog.getByLabel("Kind").fill("readonly");
  await accessible(page, "add a login");
  await dialog.getByRole("button", { name: "Add the login" }).click();
  const url = await page.getByRole("region", { name: "Connection string for reports" }).textContent();
  await page.getByRole("button", { name: "I have stored it" }).click();
  assert.equal(await soon(url, "SELECT count(*) FROM users", /^\d+$/), "0");
  assert.match(await soon(url, "DELETE FROM users", /denied/), /permission denied/);
  await page.getByRole("button", { name: "Remove reports" }).click();
  await accessible(page, "remove a login");
  await page.getByRole("button", { name: "Remove the login" }).click();
  await page.getByRole("button", { name: "Remove reports" }).waitFor({ state: "detached" });
  assert.match(await soon(url, "SELECT 1", /password/), /password authentication failed/);
  await page.context().close();
});

test("a tenant that only observes is answered by PostgreSQL, until the policy is enforced again", async () => {
  const page = await signedIn(browser, ["admin"]);
  const refusal = () => psql(urls.app, "TRUNCATE users").then(String, (error) => error.stderr);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  for (const [button, mode] of [
    ["Only observe", "observe"],
    ["Enforce", "enforce"],
  ]) {
    await page.getByRole("button", { name: button, exact: true }).click();
    await accessible(page, mode);
    await page.getByRole("alertdialog").getByRole("button", { name: button }).click();
    await page.getByRole("alertdialog").waitFor({ state: "detached" });
    await page.locator("b", { hasText: mode }).waitFor();
    // Wall 2 refuses it too: the app login has no right to truncate.
    assert.match(await refusal(), /permission denied/);
  }
  await page.context().close();
});

test("a tenant is exported as a file and cloned into another", async () => {
  await psql(urls.owner, "CREATE TABLE pets (name text); INSERT INTO pets VALUES ('rex')");
  const page = await signedIn(browser, ["admin"]);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("button", { name: "Export", exact: true }).click();
  await accessible(page, "export");
  const [download] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Download" }).click(),
  ]);
  assert.match(readFileSync(await download.path(), "utf8"), /COPY public\.pets[\s\S]*rex/);
  await page.getByRole("button", { name: "Clone", exact: true }).click();
  await page.getByLabel("Slug of the clone").fill(`${slug}-2`);
  await accessible(page, "clone");
  await page.getByRole("dialog").getByRole("button", { name: "Clone" }).click();
  const url = await page.getByRole("region", { name: "Connection string for owner" }).textContent();
  await page.getByRole("link", { name: "To the clone" }).click();
  await page.getByRole("heading", { name: `${slug}-2` }).waitFor();
  await page.getByRole("button", { name: "Suspend" }).waitFor();
  assert.equal(await psql(url, "SELECT name FROM pets"), "rex");
  await page.context().close();
});
