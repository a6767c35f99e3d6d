/** The policy page, the playground's cases and the second person, against the real stack. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { BASE_URL, faultsOf, openBrowser, signedIn } from "./stack.mjs";

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);
const TRUNCATE = "p, app, relation, @own, *, truncate, allow";
let browser;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

test("a policy is checked while it is written, activated, and taken back", async () => {
  const page = await signedIn(browser, ["admin"]);
  await page.goto(`${BASE_URL}/playground?tenant=acme&as=app`);
  const judge = async (words) => {
    await page.getByLabel("SQL").fill("TRUNCATE users");
    await page.getByRole("button", { name: "Explain" }).click();
    await page.getByText(words, { exact: true }).waitFor();
  };
  await judge("Denied");
  await page.getByText("+ p, app").first().waitFor();
  await page.getByRole("button", { name: "Keep as a case: deny" }).click();
  await page.getByRole("button", { name: "Run all" }).click();
  await page.getByText("1 of 1 pass.").waitFor();
  await accessible(page, "playground with a case");

  await page.goto(`${BASE_URL}/policy`);
  const lines = page.getByLabel("Lines", { exact: true });
  const text = await lines.inputValue();
  await lines.fill(`${text.trimEnd()}\np, app, nonsense\n`);
  await page.getByText("It cannot be used").waitFor();
  assert.equal(await page.getByRole("button", { name: "Activate" }).isDisabled(), true);
  await accessible(page, "policy with a fault");
  await page
    .getByRole("button", { name: /^Line \d+$/ })
    .first()
    .click();
  const marked = await lines.evaluate((box) => box.value.slice(box.selectionStart, box.selectionEnd));
  assert.equal(marked, "p, app, nonsense", "the fault's line is marked");

  await lines.fill(`${text.trimEnd()}\n${TRUNCATE}\n`);
  await page.getByText(/decides \d+ questions? otherwise/).waitFor();
  await page.reload();
  await page.getByText(/decides \d+ questions? otherwise/).waitFor();
  await accessible(page, "policy with a difference");
  await page.getByRole("button", { name: "Activate" }).click();
  const dialog = page.getByRole("dialog");
  await dialog.getByLabel("Comment").fill("app may truncate");
  await accessible(page, "activation");
  await dialog.getByRole("button", { name: "Activate" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByText("Nothing is changed.").waitFor();

  await page.goto(`${BASE_URL}/playground?tenant=acme&as=app`);
  await judge("Permitted");
  await page.getByRole("button", { name: "Run all" }).click();
  await page.getByText("0 of 1 pass.").waitFor();

  await page.goto(`${BASE_URL}/policy`);
  await page.getByRole("button", { name: "Go back to epoch 1", exact: true }).click();
  await dialog.getByText(/decides \d+ questions? otherwise/).waitFor();
  await dialog.getByLabel("Comment").fill("test over");
  await dialog.getByRole("button", { name: "Go back" }).click();
  await dialog.waitFor({ state: "detached" });
  await page
    .getByText(/test over; back to epoch 1/)
    .first()
    .waitFor();
  await page.goto(`${BASE_URL}/playground?tenant=acme&as=app`);
  await judge("Denied");
  await page.context().close();
});

test("only who may activate a policy is offered it", async () => {
  for (const [role, may] of [
    ["viewer", false],
    ["auditor", false],
    ["operator", false],
    ["security", false],
    ["admin", true],
    ["owner", true],
  ]) {
    const page = await signedIn(browser, [role]);
    await page.goto(`${BASE_URL}/policy`);
    const button = page.getByRole("button", { name: "Activate", exact: true });
    await button.waitFor();
    assert.equal((await button.getAttribute("aria-disabled")) !== "true", may, role);
    await page.context().close();
  }
});
