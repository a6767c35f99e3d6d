#!/usr/bin/env bash
# The corpora against a running installation: bench/leak/run.sh DEV_ENV [extra arguments of leakrun.py]
#
# Makes two fresh tenants through the API, puts the lab's objects into them (bench/corpus/leaklab.sql), then plays every
# case as tenant A through the proxy and looks at what comes back on the wire. Prints how each class held.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
[ $# -ge 1 ] || { echo "usage: bench/leak/run.sh DEV_ENV" >&2; exit 2; }
. "$1"; shift
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT
PALISADE=${PALISADE_BIN:-target/debug/palisade}
stamp=$(date +%s)
# Slugs are written into identifiers by the attacks: one word each.
a=leaka$stamp b=leakb$stamp
"$PALISADE" tenant create "$a" --json >"$work/a.json"
"$PALISADE" tenant create "$b" --json >"$work/b.json"
export PALISADE_DATABASE_URL
python3 bench/leak/prepare.py "$work" bench/corpus/leaklab.sql
psql "$PALISADE_DATABASE_URL" -q -v ON_ERROR_STOP=1 -f "$work/lab.sql" >/dev/null
sleep 1
python3 - "$work" "$@" <<'PY'
import json, os, subprocess, sys
work, extra = sys.argv[1], sys.argv[2:]
names = json.load(open(f"{work}/names.json"))
def play(corpus):
    cases = [json.loads(line) for line in open(f"bench/corpus/{corpus}.jsonl")]
    with open(f"{work}/{corpus}.jsonl", "w") as out:
        out.writelines(json.dumps(c) + "\n" for c in cases)
    command = ["python3", "bench/corpus/leakrun.py", "--corpus", f"{work}/{corpus}.jsonl", "--port", names["port"],
               "--admin-port", names["admin_port"], "--db", names["database"], "--names", f"{work}/names.json",
               "--tenant-a", names["names"]["{A}"], "--tenant-b", names["names"]["{B}"], "--out", f"{work}/{corpus}.out"]
    # What a case has changed is made anew before the next one.
    command += ["--rebuild", f"psql '{os.environ['PALISADE_DATABASE_URL']}' -q -v ON_ERROR_STOP=1 -f {work}/rebuild.sql 2>>{work}/rebuild.log"]
    done = subprocess.run(command + extra, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    open_ = {line.split()[0]: line for line in lines if line[2:3] == "-" and line.split()[1] != "ok"}
    new = sorted(set(open_) - set(known))
    for case in sorted(open_):
        print(f"  {case}  {known.get(case, 'NOT KNOWN: ' + open_[case][:300])}")
    total = next((line for line in lines if " run, " in line), "nothing was run: " + done.stderr[-500:])
    print(f"{corpus}: {total}")
    for case in sorted(c["id"] for c in cases if c["id"] in known and c["id"] not in open_):
        print(f"  {case} holds now: take it off bench/corpus/known.txt")
    return not new and " run, " in total
known = dict(line.rstrip().split(None, 1) for line in open("bench/corpus/known.txt") if line.strip() and line[0] != "#")
def rebuilt():
    log = open(f"{work}/rebuild.log").read() if os.path.exists(f"{work}/rebuild.log") else ""
    errors = [line for line in log.splitlines() if "ERROR" in line]
    print("\n".join(errors[:5]), end="\n" if errors else "")
    return not errors
good = [play("attacks"), play("benign"), rebuilt()]
sys.exit(0 if all(good) else 1)
PY
