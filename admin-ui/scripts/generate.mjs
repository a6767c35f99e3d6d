/**
 * Writes src/api/types.ts from the control plane's OpenAPI document: OPENAPI, or docs/api/openapi.json of this
 * repository. Runs before every build, test and start; the result is not kept in git.
 */
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import openapiTS, { astToString } from "openapi-typescript";

const SOURCE = process.env.OPENAPI ?? fileURLToPath(new URL("../../docs/api/openapi.json", import.meta.url));
const TARGET = new URL("../src/api/types.ts", import.meta.url);

const document = JSON.parse(await readFile(SOURCE, "utf8"));
const text = `/** Generated from the OpenAPI document; do not edit. */\n${astToString(await openapiTS(document))}`;
const before = await readFile(TARGET, "utf8").catch(() => "");
if (before !== text) {
  await mkdir(new URL(".", TARGET), { recursive: true });
  await writeFile(TARGET, text);
  console.log(`src/api/types.ts: ${Object.keys(document.paths).length} paths`);
}
