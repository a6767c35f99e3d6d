/** Sessions and pools of a tenant as they are, and the audit trail's integrity and pivots, against the real stack. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { api, asPostgres, BASE_URL, faultsOf, openBrowser, psql, signedIn } from "./stack.mjs";

const accessible = async (page, where) => assert.deepEqual(await faultsOf(page), [], where);
const slug = `live-${Date.now().toString(36)}`;
let browser;
let url;

before(async () => {
  browser = await openBrowser();
  const { credentials } = await api("POST", "/tenants", { slug });
  url = credentials.find(({ kind }) => kind === "app").url;
});
after(() => browser.close());

test("a live session is shown with the reason of its pin, and can be ended", async () => {
  const session = spawn("psql", [url, "-X", "-At"], { stdio: ["pipe", "pipe", "ignore"] });
  const ended = once(session, "exit");
  session.stdin.write("LISTEN news;\nSELECT 'in';\n");
  await once(session.stdout, "data");
  const viewer = await signedIn(browser, ["viewer"]);
  await viewer.goto(`${BASE_URL}/tenants/${slug}`);
  const end = (page) => page.getByRole("button", { name: /^End the session of app from/ });
  await end(viewer).waitFor();
  assert.equal(await end(viewer).getAttribute("aria-disabled"), "true", "a viewer only looks");
  await viewer.context().close();

  const page = await signedIn(browser, ["operator"]);
  await page.goto(`${BASE_URL}/tenants/${slug}`);
  await page.getByRole("region", { name: "Live sessions (table)" }).getByText("listen").waitFor();
  await page.getByRole("region", { name: "Pools (table)" }).getByText("1 in use").waitFor();
  await accessible(page, "sessions");
  await end(page).click();
  await accessible(page, "end a session");
  const id = await page.getByRole("alertdialog").locator("[class*=mono], span").allTextContents();
  assert.ok(
    id.some((text) => /^[0-9a-f-]{8,}$/.test(text.trim())),
    "the session's id can be read",
  );
  await page.getByRole("alertdialog").getByRole("button", { name: "End it" }).click();
  await page.getByRole("alertdialog").waitFor({ state: "detached" });
  session.stdin.end();
  await ended;
  await page.getByText(/^0 sessions/).waitFor();
  const told = await asPostgres(
    `SELECT actor FROM palisade_control.audit_events WHERE action = 'session.terminate' AND event ->> 'tenant' = '${slug}'`,
  );
  assert.equal(told, "e2e-operator");
  await page.context().close();
});

test("the audit page says that the log holds, and how that is known", async () => {
  const page = await signedIn(browser, ["auditor"]);
  await page.goto(`${BASE_URL}/audit`);
  await page.getByRole("button", { name: "Log holds: details" }).click();
  await page.getByText(/events were held to their hashes/).waitFor();
  await accessible(page, "integrity");
  await page.getByRole("button", { name: "Done" }).click();
  await page.context().close();
});

test("an altered event is told in red words, and its mending too", async () => {
  const newest = `(SELECT max(number) FROM palisade_control.audit_events)`;
  const change = (from, to) =>
    asPostgres(
      `UPDATE palisade_control.audit_events SET event = event || jsonb_build_object('result', '${to}')
       WHERE number = ${newest} - 5 AND event ->> 'result' = '${from}' RETURNING number`,
    );
  const was = await asPostgres(
    `SELECT event ->> 'result' FROM palisade_control.audit_events WHERE number = ${newest} - 5`,
  );
  const number = (await change(was, "other")).split("\n")[0];
  const page = await signedIn(browser, ["auditor"]);
  try {
    await page.goto(`${BASE_URL}/audit`);
    await page.getByRole("button", { name: "Log was altered: details" }).click();
    await page.getByText(new RegExp(`event ${number} .*changed`)).waitFor();
    await accessible(page, "altered");
  } finally {
    await asPostgres(
      `UPDATE palisade_control.audit_events SET event = event || jsonb_build_object('result', '${was}') WHERE number = ${number}`,
    );
  }
  await page.getByRole("button", { name: "Check now" }).click();
  await page.getByText(/^event \d+ .*changed/).waitFor({ state: "detached" });
  await page.context().close();
});

test("an event leads to its session, and all that fits is a signed file", async () => {
  await assert.rejects(psql(url, "SELECT * FROM pg_authid"));
  const page = await signedIn(browser, ["auditor"]);
  const row = page.getByRole("button", { name: /^Details of statement/ }).first();
  for (let look = 0; look < 20 && !(await row.isVisible()); look += 1) {
    await page.goto(`${BASE_URL}/audit?tenant=${slug}&decision=deny`);
    await page.getByRole("heading", { name: "Audit", exact: true }).waitFor();
    await row.waitFor({ timeout: 1_000 }).catch(() => {});
  }
  await row.click();
  await page.getByRole("link", { name: "Same session" }).click();
  const mark = page.getByRole("button", { name: /^Take away session/ });
  await mark.waitFor();
  await page
    .getByRole("button", { name: /^Details of login/ })
    .first()
    .waitFor();
  await accessible(page, "one session");
  await page.getByLabel("Format of the export").selectOption("csv");
  const [file] = await Promise.all([
    page.waitForEvent("download"),
    page.getByRole("button", { name: "Export all that fit" }).click(),
  ]);
  assert.match(readFileSync(await file.path(), "utf8"), /session=/, "the file says what was asked for");
  await page.getByRole("button", { name: "As a table" }).click();
  await page.getByRole("region", { name: "Events over time (table)" }).waitFor();
  await mark.click();
  await mark.waitFor({ state: "detached" });
  await page.context().close();
});
