/** Signing in with a provider, sessions, tokens, and the second person. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE_URL, faultsOf, openBrowser, signedIn } from "../stack.mjs";
import { startProvider } from "./provider.mjs";

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);
let browser;
let provider;

before(async () => {
  provider = await startProvider(Number(process.env.E2E_PROVIDER_PORT));
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  provider?.stop();
});

/** A page on which this person signed in with the provider. */
async function through(sub, roles, path = "/") {
  provider.person = { sub, roles };
  const context = await browser.newContext({ reducedMotion: "reduce" });
  const page = await context.newPage();
  page.setDefaultTimeout(20_000);
  await page.goto(BASE_URL + path);
  await page.getByRole("link", { name: "Sign in with your organisation" }).click();
  return page;
}

test("somebody signs in with the provider, comes back to the page, and signs out", async () => {
  const page = await through("ann", ["operator"], "/tenants?q=acme");
  await page.getByRole("heading", { name: "Tenants" }).waitFor();
  assert.equal(new URL(page.url()).search, "?q=acme");
  await page.getByText("ann (operator)").waitFor();
  assert.equal(provider.refusals, 0);
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }]));
  assert.doesNotMatch(kept, /eyJ|pal_/, "no token in the browser's storage");
  assert.doesNotMatch(await page.evaluate(() => document.cookie), /palisade_session/, "hidden from scripts");
  await page.reload();
  await page.getByText("ann (operator)").waitFor();
  await page.getByRole("button", { name: "Sign out" }).click();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await accessible(page, "sign in");
  await page.reload();
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.context().close();
});

test("somebody without a role is not let in", async () => {
  const page = await through("eve", []);
  await page.waitForURL(/\/auth\/callback/);
  await page.goto(BASE_URL);
  await page.getByRole("heading", { name: "Sign in" }).waitFor();
  await page.context().close();
});

test("a policy waits for a second person, and is activated once approved", async () => {
  const ann = await through("ann", ["admin"], "/policy");
  const lines = ann.getByLabel("Lines", { exact: true });
  await lines.waitFor();
  await lines.fill(`${(await lines.inputValue()).trimEnd()}\np, app, relation, @own, *, truncate, allow\n`);
  await ann.getByText(/decides \d+ questions? otherwise/).waitFor();
  await ann.getByRole("button", { name: "Activate" }).click();
  const dialog = ann.getByRole("dialog");
  await dialog.getByLabel("Comment").fill("two of us");
  await dialog.getByRole("button", { name: "Activate" }).click();
  await dialog.getByText("Another person must approve this").waitFor();
  await accessible(ann, "waiting");

  const bob = await through("bob", ["admin"], "/approvals");
  await bob.getByRole("button", { name: "Look at POST /policy of ann" }).first().click();
  await accessible(bob, "approval");
  await bob.getByRole("button", { name: "Approve" }).click();
  await bob.getByRole("cell", { name: "approved" }).waitFor();
  await accessible(bob, "approvals");

  await dialog.getByText("Approved by bob").waitFor();
  await dialog.getByRole("button", { name: "Activate" }).click();
  await dialog.waitFor({ state: "detached" });
  await ann.getByText("two of us").first().waitFor();
  await ann.goto(`${BASE_URL}/approvals`);
  await ann.getByRole("cell", { name: "used" }).waitFor();
  await ann.context().close();
  await bob.context().close();
});

test("a token is made, shown once, used and revoked", async () => {
  const page = await signedIn(browser, ["security"]);
  await page.goto(`${BASE_URL}/tokens`);
  await page.getByRole("button", { name: "New token" }).click();
  await page.getByLabel("Name").fill("deploy");
  await accessible(page, "new token");
  await page.getByRole("button", { name: "Make the token" }).click();
  const secret = await page.getByRole("region", { name: "Secret, shown this once" }).textContent();
  const status = async () =>
    (await fetch(`${BASE_URL}/api/v1/tenants`, { headers: { Authorization: `Bearer ${secret}` } })).status;
  assert.equal(await status(), 200);
  await page.getByRole("button", { name: "I have stored it" }).click();
  await page.getByRole("cell", { name: "good" }).waitFor();
  await accessible(page, "tokens");
  await page.getByRole("button", { name: "Revoke deploy" }).click();
  await page.getByRole("alertdialog").getByRole("button", { name: "Revoke" }).click();
  await page.getByRole("cell", { name: "revoked" }).waitFor();
  assert.equal(await status(), 401);
  await page.context().close();
});

test("tokens are for security and above", async () => {
  const page = await signedIn(browser, ["operator"]);
  await page.goto(`${BASE_URL}/tokens`);
  await page.getByText("Not for your roles").waitFor();
  await accessible(page, "forbidden tokens");
  await page.context().close();
});
