#!/usr/bin/env bash
# Coverage-guided fuzzing: bench/fuzz/run.sh [SECONDS [TARGET…]]
#
# Fuzzes each target (frames, flow, statements) for SECONDS (60) with cargo-fuzz, from the texts of the corpora and from
# what earlier runs have found (below data/fuzz). Ends with 1 where an input panics, hangs for 10 s, or takes more than
# 2 GiB; the input is left in data/fuzz/found. cargo-fuzz is installed below data/tools where it is missing; any stable
# toolchain serves, because the code has no memory of its own to check.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
seconds=${1:-60}
shift || true
if [ $# -eq 0 ]; then set -- frames flow statements; fi
PATH="$PWD/data/tools/bin:$PATH"
command -v cargo-fuzz >/dev/null || cargo install --locked --quiet --root data/tools cargo-fuzz

python3 - <<'PY'
import hashlib, json, pathlib
folder = pathlib.Path("data/fuzz/statements")
folder.mkdir(parents=True, exist_ok=True)
names = {"{SA}": "public", "{SB}": "t_bbbbbbbbbbbbbbbbbbbb", "{A}": "acme", "{B}": "globex", "{DB}": "acme"}
def strings(value):
    if isinstance(value, str):
        yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(value, list) else []:
        yield from strings(inner)
for corpus in ("attacks", "benign"):
    for line in pathlib.Path(f"bench/corpus/{corpus}.jsonl").read_text().splitlines():
        for text in strings(json.loads(line).get("steps")):
            for name, real in names.items():
                text = text.replace(name, real)
            data = text.encode("utf-8", "surrogatepass")
            (folder / hashlib.sha1(data).hexdigest()).write_bytes(data)
PY

for target in "$@"; do
  mkdir -p "data/fuzz/$target" "data/fuzz/found"
  echo "fuzzing $target for $seconds s"
  cargo fuzz run --fuzz-dir bench/fuzz --target-dir data/fuzz/target --sanitizer none "$target" "data/fuzz/$target" -- \
    -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=8192 -print_final_stats=1 -verbosity=1 \
    -artifact_prefix="data/fuzz/found/$target-" 2>data/fuzz/$target.log || { tail -40 "data/fuzz/$target.log"; exit 1; }
  grep -E "stat::number_of_executed_units|cov: .* DONE|#.*DONE" "data/fuzz/$target.log" || true
done
