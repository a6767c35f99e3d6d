/** Fails where the JavaScript of the first page is larger than it may be: gzip bytes of the entry and all it needs. */
import { readFile } from "node:fs/promises";
import { gzipSync } from "node:zlib";

/** Largest first load, in bytes after gzip. */
const LIMIT = 250_000;
/** The page that people see first. */
const FIRST_PAGES = ["index.html", "src/pages/home.tsx", "src/pages/tenants.tsx"];

const manifest = JSON.parse(await readFile("dist/.vite/manifest.json", "utf8"));
const files = new Set();
function add(name) {
  const part = manifest[name];
  if (!part || files.has(part.file)) return;
  files.add(part.file);
  part.imports?.forEach(add);
}
let worst = 0;
for (const page of FIRST_PAGES.slice(1)) {
  files.clear();
  add(FIRST_PAGES[0]);
  if (!manifest[page]) throw new Error(`${page} is not in the build`);
  add(page);
  let bytes = 0;
  for (const file of files)
    if (file.endsWith(".js")) bytes += gzipSync(await readFile(`dist/${file}`)).length;
  console.log(`first load of ${page}: ${bytes} bytes of JavaScript (gzip), limit ${LIMIT}`);
  worst = Math.max(worst, bytes);
}
if (worst > LIMIT) throw new Error(`the first load is ${worst - LIMIT} bytes too large`);
