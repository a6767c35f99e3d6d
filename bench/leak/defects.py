"""Breaks Palisade on purpose, one wall's part at a time, and shows that the leak test finds it. See defects.sh."""
import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench/speed"))
from compare import machine, words  # noqa: E402
from targets import Installation  # noqa: E402

# What is broken: its name, then file, what stands there, and what stands there instead.
DEFECTS = [
    ("the judge takes another's schema for the tenant's own", [
        ("policies/src/judge/resolve.rs", 'Some(_) => Resolved::plain("@foreign", Reason::ForeignSchema),', 'Some(_) => Resolved::plain("@own", Reason::NoRight),')]),
    ("a path may lead to another's schema", [
        ("policies/src/judge/resolve.rs", '_ => Resolved::plain("@foreign", Reason::ForeignSchema),\n    }', '_ => Resolved::plain("@own", Reason::NoRight),\n    }')]),
    ("PostgreSQL's catalogs are read unfiltered", [
        ("policies/src/judge/resolve.rs", "            RelationUse::View => replaced,\n            RelationUse::Raw => Resolved::plain(\"pg_catalog\"", '            RelationUse::View => Resolved::plain("pg_catalog", Reason::NoRight),\n            RelationUse::Raw => Resolved::plain("pg_catalog"')]),
    ("functions that name things are not replaced", [
        ("policies/src/judge/resolve.rs", "FunctionUse::Replaced => replaced,", 'FunctionUse::Replaced => Resolved::plain("pg_catalog", Reason::NoRight),')]),
    ("forbidden functions are permitted", [
        ("policies/src/judge/resolve.rs", 'Resolved::plain("@forbidden", Reason::ForbiddenFunction)', 'Resolved::plain("pg_catalog", Reason::NoRight)')]),
    ("channels are everybody's", [
        ("policies/src/rewrite.rs", 'format!("{}:{name}", namespace.schema)', 'format!("{name}{}", &namespace.schema[..0])')]),
    ("the filtered catalogs show every schema", [
        ("migrations/views/V1__catalog_views.sql", "FROM pg_namespace\n     WHERE nspname IN (substring(session_user FROM '^(t_[a-z2-7]{20})_l_'), 'pg_catalog', 'information_schema') $$;", "FROM pg_namespace $$;")]),
    ("one pool serves all tenants", [
        ("proxy/src/pool.rs", "        let key = Key::of(shared, tenant, login);\n        let definitions", "        let mut key = Key::of(shared, tenant, login);\n        (key.tenant, key.slug, key.role) = Default::default();\n        let definitions"),
        ("proxy/src/pool.rs", "Pool::new(free.key().clone(), tenant,", "Pool::new(Key::of(shared, tenant, login), tenant,")]),
]


def build(source, target):
    subprocess.run(["cargo", "build", "--locked", "-q", "-p", "palisade"], cwd=source, env={**os.environ, "CARGO_TARGET_DIR": str(target)}, check=True)
    return target / "debug/palisade"


def broken(source, edits):
    """Applies edits; each must fit exactly once. Returns what undoes them."""
    before = {}
    for name, old, new in edits:
        file = source / name
        text = file.read_text()
        before.setdefault(file, text)
        if text.count(old) != 1:
            raise SystemExit(f"{name}: {old!r} stands there {text.count(old)} times; the defect has to be written anew")
        file.write_text(text.replace(old, new))
    return before


def attack(options, binary, work):
    """Leaks by run, who found them and their class, each with when it was found first; None where it did not come so far."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        it = Installation(binary, work / "installation", options.port)
    except SystemExit:
        # The control plane probes both walls before it opens a tenant.
        return None, (work / "palisade.log").read_text().rstrip().rsplit("\n", 1)[-1][-300:]
    try:
        admin = it.env["PALISADE_DATABASE_URL"]
        command = [binary, "leak-test", "--duration", f"{options.seconds}s", "--seed", str(options.seed), "--walls", "each", "--admin", admin,
                   "--report", str(work / "report"), "--key-file", str(work / "key")]
        ended = subprocess.run(command, env={**os.environ, **it.env}, capture_output=True, text=True, timeout=3 * options.seconds + 300)
        if ended.returncode == 2:
            return None, ended.stderr[-300:]
        report = json.loads((work / "report/report.json").read_text())
        report = report.get("report", report)
        report = json.loads(report) if isinstance(report, str) else report
        found = {}
        for wall, outcome in report["walls"].items():
            for leak in outcome["leaks"]:
                key = (wall, leak["attacker"], leak["class"])
                found[key] = min(found.get(key, 1e9), leak["after_seconds"])
        return found, Counter(key[0] for key in found)
    finally:
        it.stop()


def main():
    p = argparse.ArgumentParser(prog="bench/leak/defects.sh", description=__doc__)
    p.add_argument("--seconds", type=int, default=15, help="length of each of a defect's three runs (15)")
    p.add_argument("--seed", type=int, default=1, help="where everything random comes from (1)")
    p.add_argument("--only", type=int, help="one defect, by its number from 1")
    p.add_argument("--port", type=int, default=27500, help="first of four ports")
    p.add_argument("--target", default=str(ROOT / "target/defects"), help="cargo's folder for the broken builds")
    p.add_argument("--out", default=str(ROOT / "bench/results"), help="folder for the results")
    options = p.parse_args()
    target, work = Path(options.target), Path(tempfile.mkdtemp(prefix="palisade-defects-"))
    source = work / "source"
    subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(source), "HEAD"], check=True)
    try:
        os.chmod(work, 0o755)
        print("building what is not broken …", flush=True)
        usual, _ = attack(options, build(source, target), work / "run")
        if usual is None or any(key[0] != "proxy alone" for key in usual):
            raise SystemExit(f"what is not broken leaks, or does not run: {usual}")
        rows = []
        for number, (name, edits) in enumerate(DEFECTS, 1):
            if options.only not in (None, number):
                continue
            before = broken(source, edits)
            found, more = attack(options, build(source, target), work / "run")
            for file, text in before.items():
                file.write_text(text)
            new = {} if found is None else {key: at for key, at in found.items() if key not in usual}
            by = sorted(new.items(), key=lambda item: item[1])
            rows.append({"defect": name, "found": bool(new) or found is None, "stopped_before": more if found is None else None,
                         "by": [{"run": k[0], "attacker": k[1], "class": k[2], "after_seconds": round(at, 1)} for k, at in by]})
            first = f"{by[0][0][1]} / {by[0][0][2]} after {by[0][1]:.1f} s ({by[0][0][0]})" if by else f"it did not come so far: {more}" if found is None else "NOT FOUND"
            print(f"{number}. {name}: {first}", flush=True)
    finally:
        subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(source)], check=False)
        shutil.rmtree(work, ignore_errors=True)
    missed = [row["defect"] for row in rows if not row["found"]]
    results = {"commit": words("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"), "machine": machine(),
               "command": f"bench/leak/defects.sh --seconds {options.seconds} --seed {options.seed}", "defects": rows,
               "goals": [{"name": "Seeded defects found", "goal": f"{len(rows)} of {len(rows)}", "measured": len(rows) - len(missed), "met": not missed}]}
    name = Path(options.out) / f"defects-{datetime.date.today()}"
    name.with_suffix(".json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    lines = "".join(f"| {r['defect']} | {'yes' if r['found'] else 'no'} | " + "<br>".join(
        f"{b['attacker']} / {b['class']}, {b['run']}, {b['after_seconds']} s" for b in r["by"][:4]) + (r["stopped_before"] or "") + " |\n" for r in rows)
    name.with_suffix(".md").write_text(f"# Seeded defects\n\nCommit {results['commit']}; {results['machine']}; `{results['command']}`\n\n"
                                       f"| what was broken | found | by whom, in which run, when |\n|---|---|---|\n{lines}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
