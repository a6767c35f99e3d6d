/** What people do, in a browser, against the real control plane, proxy and PostgreSQL. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { after, before, test } from "node:test";
import { asPostgres, BASE_URL, faultsOf, openBrowser, psql, signedIn, tokenOf } from "./stack.mjs";

const slug = `e2e-${Date.now().toString(36)}`;
let browser;
/** The app login's connection string, as the wizard showed it. */
let url;

before(async () => {
  browser = await openBrowser();
});
after(() => browser.close());

/** How many rows the catalog has of a slug. */
const leftOf = (name) => asPostgres(`SELECT count(*) FROM palisade_control.tenants WHERE slug = '${name}'`);

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);

/** Fills the wizard up to its last step. */
async function wizard(page, name) {
  await page.goto(`${BASE_URL}/tenants/new`);
  await page.getByLabel("Slug").fill(name);
  await page.getByText(`${name} is free.`).waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByLabel("Plan").waitFor();
  await page.getByRole("button", { name: "Next" }).click();
  await page.getByRole("region", { name: "curl" }).waitFor();
}

test("the wizard keeps its draft over a reload and leads to a working connection", async () => {
  const page = await signedIn(browser, ["admin"]);
  await wizard(page, slug);
  const before = await page.getByRole("region", { name: "curl" }).textContent();
  await page.reload();
  assert.equal(await page.getByRole("region", { name: "curl" }).textContent(), before, "draft and key");
  await accessible(page, "confirmation");
  let creations = 0;
  page.on("request", (sent) => {
    if (sent.method() === "POST" && sent.url().endsWith("/api/v1/tenants")) creations += 1;
  });
  // Both clicks in one task: the page has no time to draw itself anew between them.
  await page.getByRole("button", { name: "Create tenant" }).evaluate((button) => {
    button.click();
    button.click();
  });
  await page.getByRole("heading", { name: `${slug} is ready` }).waitFor();
  assert.equal(creations, 1, "a double click makes one request");
  await accessible(page, "created");
  url = await page.getByRole("region", { name: "Connection string for app" }).textContent();
  assert.equal(await psql(url, "SELECT 1 + 1"), "2");
  assert.equal(await page.getByText("0 ms", { exact: true }).count(), 0);
  await page.context().close();
});

test("a slug that is taken is told while it is typed", async () => {
  const page = await signedIn(browser, ["operator"]);
  await page.goto(`${BASE_URL}/tenants/new`);
  await page.getByLabel("Slug").fill(slug);
  await page.getByText(/is taken/).waitFor();
  assert.equal(await page.getByRole("button", { name: "Next" }).isDisabled(), true);
  await accessible(page, "taken");
  await page.context().close();
});

test("a creation that fails says so, takes everything back, and can be tried again", async () => {
  const page = await signedIn(browser, ["admin"]);
  const name = `${slug}-f`;
  await asPostgres(`CREATE FUNCTION public.e2e_fail() RETURNS event_trigger LANGUAGE plpgsql
    AS $$ BEGIN RAISE EXCEPTION 'made to fail'; END $$`);
  await asPostgres(`CREATE EVENT TRIGGER e2e_fail ON ddl_command_start WHEN TAG IN ('CREATE SCHEMA')
    EXECUTE FUNCTION public.e2e_fail()`);
  try {
    await wizard(page, name);
    await page.getByRole("button", { name: "Create tenant" }).click();
    await page.getByText("It failed, and what it made was taken back").waitFor();
    await page
      .getByText(/made to fail/)
      .first()
      .waitFor();
    await page.getByRole("heading", { name: `${name} could not be made` }).waitFor();
    await accessible(page, "failed");
  } finally {
    await asPostgres("DROP EVENT TRIGGER e2e_fail");
    await asPostgres("DROP FUNCTION public.e2e_fail()");
  }
  assert.equal(await leftOf(name), "0", "nothing of it is left in the database");
  await page.getByRole("button", { name: "Try again" }).click();
  await page.getByRole("button", { name: "Create tenant" }).click();
  await page.getByRole("heading", { name: `${name} is ready` }).waitFor();
  await page.context().close();
});

test("a suspension cuts a live session, and a resumption lets it in again", async () => {
  const page = await signedIn(browser, ["operator"]);
  const session = spawn("psql", [url, "-X", "-At", "-c", "SELECT 'in'", "-c", "SELECT pg_sleep(60)"]);
  const ended = once(session, "exit");
  await once(session.stdout, "data");
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("button", { name: "Suspend" }).click();
  await page.getByLabel("Reason").fill("unpaid");
  await accessible(page, "suspend");
  await page.getByRole("dialog").getByRole("button", { name: "Suspend" }).click();
  await page.getByRole("button", { name: "Resume" }).waitFor();
  const [code] = await ended;
  assert.notEqual(code, 0, "the live session was cut");
  await assert.rejects(psql(url, "SELECT 1"), "no new session");
  await page.getByRole("button", { name: "Resume" }).click();
  await page.getByLabel("Reason").fill("paid");
  await page.getByRole("dialog").getByRole("button", { name: "Resume" }).click();
  await page.getByRole("button", { name: "Suspend" }).waitFor();
  assert.equal(await psql(url, "SELECT 1"), "1");
  await page.context().close();
});

test("a denied statement shows in the audit trail, in words", async () => {
  await assert.rejects(psql(url, "SELECT * FROM pg_authid"));
  const page = await signedIn(browser, ["auditor"]);
  const row = page.getByRole("button", { name: /^Details of statement/ }).first();
  for (let look = 0; look < 20 && !(await row.isVisible()); look += 1) {
    await page.goto(`${BASE_URL}/audit?tenant=${slug}&decision=deny`);
    await page.getByRole("heading", { name: "Audit" }).waitFor();
    await row.waitFor({ timeout: 1_000 }).catch(() => {});
  }
  await accessible(page, "audit");
  await row.click();
  await page.getByText(/app from .* was denied a SELECT statement/).waitFor();
  await accessible(page, "event");
  await page.context().close();
});

test("the playground says what would be denied, and why", async () => {
  const page = await signedIn(browser, ["viewer"]);
  await page.goto(`${BASE_URL}/playground?tenant=${slug}`);
  await page.getByLabel("SQL").fill("DROP TABLE users");
  await page.keyboard.press("Control+Enter");
  await page.getByText("Denied", { exact: true }).waitFor();
  await page.getByText("42501").waitFor();
  await accessible(page, "playground");
  await page.context().close();
});

test("an edit that somebody else overtook is refused and can be loaded anew", async () => {
  const page = await signedIn(browser, ["operator"]);
  const other = await signedIn(browser, ["admin"]);
  const edit = async (who, name) => {
    await who.getByLabel("Display name").fill(name);
    await who.getByRole("button", { name: "Save" }).click();
  };
  for (const who of [page, other]) {
    await who.goto(`${BASE_URL}/tenants/${slug}`);
    await who.getByRole("button", { name: "Edit plan and limits" }).click();
  }
  await edit(other, "Theirs");
  await other.getByRole("heading", { name: "Theirs" }).waitFor();
  await edit(page, "Mine");
  await page.getByText("Somebody else changed this tenant meanwhile").waitFor();
  await accessible(page, "conflict");
  await page.getByRole("button", { name: "Load it" }).click();
  assert.equal(await page.getByLabel("Display name").inputValue(), "Theirs");
  await page.context().close();
  await other.context().close();
});

test("each role is offered what it may do and no more", async () => {
  for (const [role, suspends, deletes, audits] of [
    ["viewer", false, false, false],
    ["auditor", false, false, true],
    ["operator", true, false, false],
    ["admin", true, true, true],
  ]) {
    const page = await signedIn(browser, [role]);
    await page.goto(`${BASE_URL}/tenants/${slug}`);
    const refused = async (name) =>
      (await page.getByRole("button", { name, exact: true }).getAttribute("aria-disabled")) === "true";
    await page.getByText("no drift").waitFor();
    assert.equal(!(await refused("Suspend")), suspends, `${role} suspends`);
    assert.equal(!(await refused("Delete")), deletes, `${role} deletes`);
    await accessible(page, `tenant as ${role}`);
    await page.goto(`${BASE_URL}/audit`);
    const shown = audits ? page.getByRole("table").first() : page.getByText("Not for your roles");
    await shown.waitFor();
    await accessible(page, `audit as ${role}`);
    await page.context().close();
  }
});

test("a deletion needs the slug typed, and can be undone until the purge", async () => {
  const page = await signedIn(browser, ["admin"]);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("button", { name: "Delete", exact: true }).click();
  const dialog = page.getByRole("alertdialog");
  await dialog.getByText("This will happen").waitFor();
  await dialog.getByLabel("Reason").fill("test");
  await dialog.getByLabel("Slug, to confirm").fill("other");
  await dialog.getByRole("button", { name: "Delete" }).click();
  await page.getByText(`Type ${slug} exactly.`).waitFor();
  await accessible(page, "delete");
  await dialog.getByLabel("Slug, to confirm").fill(slug);
  await dialog.getByRole("button", { name: "Delete" }).click();
  await dialog.waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Undelete" }).click();
  await page.getByLabel("Reason").fill("test");
  await page.getByRole("dialog").getByRole("button", { name: "Undelete" }).click();
  await page.getByRole("dialog").waitFor({ state: "detached" });
  await page.getByRole("button", { name: "Delete", exact: true }).waitFor();
  await page.context().close();
});

test("10,000 tenants scroll to the end with few rows drawn", async () => {
  const page = await signedIn(browser, ["viewer"]);
  const answer = await page.request.get(`${BASE_URL}/api/v1/tenants/${slug}`, {
    headers: { Authorization: `Bearer ${tokenOf("viewer")}` },
  });
  const one = await answer.json();
  await page.route("**/api/v1/tenants?*", (route) => {
    const from = Number(new URL(route.request().url()).searchParams.get("cursor") ?? 0);
    const items = Array.from({ length: 500 }, (_, i) => ({
      ...one,
      id: `id-${from + i}`,
      slug: `tenant-${from + i}`,
    }));
    const next = from + 500;
    return route.fulfill({ json: { items, next_cursor: next < 10_000 ? String(next) : null } });
  });
  await page.goto(`${BASE_URL}/tenants`);
  const list = page.getByRole("region", { name: "Tenants (table)" });
  await list.waitFor();
  const begun = Date.now();
  const last = page.getByRole("link", { name: "tenant-9999", exact: true });
  while (!(await last.isVisible()) && Date.now() - begun < 60_000) {
    await list.evaluate((box) => box.scrollTo(0, box.scrollHeight));
    await page.waitForTimeout(100);
  }
  await last.waitFor();
  const rows = await page.getByRole("row").count();
  // The time is shown, not judged: it says more of the machine than of the table.
  const [most, slowest] = await list.evaluate(async (box) => {
    let [most, worst, before] = [0, 0, performance.now()];
    for (let frame = 0; frame < 60; frame += 1) {
      box.scrollBy(0, -2_000);
      await new Promise(requestAnimationFrame);
      most = Math.max(most, box.querySelectorAll("[role=row], tr").length);
      worst = Math.max(worst, performance.now() - before);
      before = performance.now();
    }
    return [most, worst];
  });
  console.log(`10,000 tenants: ${rows} rows drawn, slowest of 60 frames ${Math.round(slowest)} ms`);
  assert.ok(rows < 60 && most < 60, `${rows} rows are drawn, ${most} while it scrolls`);
  await page.context().close();
});
