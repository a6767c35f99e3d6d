"""What each lets through: the leak test against Palisade, each of its walls alone, plain PostgreSQL and PgBouncer. See compare.sh."""
import argparse
import datetime
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench/speed"))
from compare import machine, words  # noqa: E402
from targets import tool  # noqa: E402

ORDER = ["both walls", "database alone", "proxy alone", "PgBouncer", "plain PostgreSQL"]


def main():
    p = argparse.ArgumentParser(prog="bench/leak/compare.sh", description=__doc__)
    p.add_argument("--seconds", type=int, default=30, help="length of each of the five runs (30)")
    p.add_argument("--seed", type=int, default=1, help="where everything random comes from (1)")
    p.add_argument("--threads", type=int, default=8, help="attackers at once (8)")
    p.add_argument("--binary", default=str(ROOT / "target/debug/palisade"), help="the palisade that attacks")
    p.add_argument("--out", default=str(ROOT / "bench/results"), help="folder for the results")
    options = p.parse_args()
    url, work = os.environ["PALISADE_DATABASE_URL"], Path(tempfile.mkdtemp(prefix="palisade-compare-"))
    arguments = ["--duration", f"{options.seconds}s", "--seed", str(options.seed), "--threads", str(options.threads), "--walls", "each",
                 "--admin", url, "--compare", url, "--pgbouncer", tool("pgbouncer"), "--report", str(work), "--key-file", str(work / "key")]
    ended = subprocess.run([options.binary, "leak-test", *arguments], check=False)
    if ended.returncode == 2:
        raise SystemExit("the leak test could not be run")
    walls = json.loads((work / "report.json").read_text())["report"]["walls"]
    runs = [name for name in ORDER if name in walls]
    leaks = {name: [f"{leak['attacker']} / {leak['class']}" for leak in walls[name]["leaks"]] for name in runs}
    classes = sorted({c for name in runs for c in [*walls[name]["attacks"], *leaks[name]]})
    rows = [f"| {c} | " + " | ".join(f"{leaks[name].count(c)} of {walls[name]['attacks'].get(c, 0)}" for name in runs) + " |\n" for c in classes]
    total = "| **all** | " + " | ".join(f"**{len(leaks[name])} of {walls[name]['statements']}**" for name in runs) + " |\n"
    kinds = "| what came back | " + " | ".join(", ".join(sorted({k for leak in walls[name]["leaks"] for k in leak["kinds"]})) or "nothing" for name in runs) + " |\n"
    command = f"bench/leak/compare.sh DEV_ENV --seconds {options.seconds} --seed {options.seed} --threads {options.threads}"
    commit = words("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    name = Path(options.out) / f"leak-comparison-{datetime.date.today()}"
    name.with_suffix(".json").write_text(json.dumps(
        {"commit": commit, "machine": machine(), "command": command,
         "runs": {run: {"statements": walls[run]["statements"], "seconds": walls[run]["seconds"], "attacks": walls[run]["attacks"],
                        "leaks": {c: leaks[run].count(c) for c in sorted(set(leaks[run]))}} for run in runs},
         "goals": [{"name": "Palisade lets nothing through", "goal": "0 leaks", "measured": len(leaks["both walls"]), "met": not leaks["both walls"]},
                   {"name": "the suite bites: plain PostgreSQL", "goal": "more than 0 leaks", "measured": len(leaks["plain PostgreSQL"]), "met": bool(leaks["plain PostgreSQL"])}]},
        indent=1, ensure_ascii=False) + "\n")
    name.with_suffix(".md").write_text(
        f"# What each lets through\n\nCommit {commit}; {machine()}; `{command}`\n\nDistinct leaks, of how many attacks. The database alone: the policy is only tried. The proxy alone: the "
        "attacked tenants' schemas are open to everybody; code that is put together on the server is the database's part. PgBouncer: Debian's package, a login and a schema for each "
        "tenant, transaction pooling. Plain PostgreSQL: a role and a schema for each tenant, nothing granted to others.\n\n"
        f"| attacker / class | {' | '.join(runs)} |\n|---|{'---|' * len(runs)}\n{''.join(rows)}{total}{kinds}")
    print(f"written to {name.with_suffix('.md')}")


if __name__ == "__main__":
    main()
