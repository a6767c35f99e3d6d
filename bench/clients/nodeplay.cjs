// What the Node clients share: reading the script, values as JSON, the play itself.
// A client has a method for each kind of step; one that is missing is "not in this client" in both transcripts.
const { readFileSync, writeSync } = require("node:fs");
const { createHash } = require("node:crypto");

const LONG = 2000; // characters; longer values are shown by length and digest
const OWN_OIDS = 16384; // from here on oids are the installation's own
const ERROR_FIELDS = ["severity", "code", "message", "detail", "hint", "position", "internalPosition", "internalQuery", "where",
  "schema", "table", "column", "dataType", "constraint",
  // postgres.js says it in PostgreSQL's words
  "schema_name", "table_name", "column_name", "type_name", "constraint_name"];

const digest = (text) => createHash("sha256").update(text).digest("hex");
const delay = (ms) => new Promise((done) => setTimeout(done, ms));
const typeShown = (oid) => (oid < OWN_OIDS ? oid : "own");

function native(param) {
  if (param.repeat) return param.repeat[0].repeat(param.repeat[1]);
  if (param.v === null) return null;
  if (param.t === "bytea") return Buffer.from(param.v, "hex");
  if (param.t === "timestamptz") return new Date(param.v);
  return param.v;
}

function shown(value) {
  if (value === null || value === undefined || typeof value === "boolean" || typeof value === "number") return value ?? null;
  if (Buffer.isBuffer(value)) return `bytes ${value.toString("hex")}`;
  if (value instanceof Date) return `date ${value.toISOString()}`;
  if (Array.isArray(value)) return value.map(shown);
  if (typeof value === "object") return { [value.constructor.name]: Object.fromEntries(Object.entries(value).map(([k, v]) => [k, shown(v)])) };
  const text = typeof value === "string" ? value : `${typeof value} ${value}`;
  return text.length > LONG ? `${text.length} characters, ${digest(text)}` : text;
}

function rowsShown(rows) {
  const all = rows.map(shown);
  return all.length > 200 ? { rows: all.length, digest: digest(JSON.stringify(all)) } : all;
}

function errorShown(e) {
  const found = { class: e.constructor.name };
  for (const field of ERROR_FIELDS) if (e[field] !== undefined) found[field] = e[field];
  return found;
}

async function playStep(client, step) {
  if (!client[step.op]) return { skipped: "not in this client" };
  try {
    return await client[step.op](step);
  } catch (e) {
    return { error: errorShown(e) };
  }
}

async function play(client) {
  const [url, script] = process.argv.slice(2);
  await client.open(url);
  for (const line of readFileSync(script, "utf8").split("\n").filter((l) => l.trim())) {
    const step = JSON.parse(line);
    const outcome = await playStep(client, step);
    const notices = client.notices?.splice(0);
    if (notices?.length) outcome.notices = notices;
    writeSync(1, JSON.stringify({ step: step.name, outcome }) + "\n");
  }
  await client.close();
}

module.exports = { play, playStep, native, shown, rowsShown, typeShown, errorShown, delay };
