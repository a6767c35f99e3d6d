"""Breaks Palisade on purpose, one part of one wall at a time, and shows that the leak test finds it. See defects.sh.

All defects of the Rust code are built into one program, each behind its own number in an environment variable, so that
there is one build for all of them; those of the catalog views are made in the running installation's database."""
import argparse
import datetime
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench/speed"))
from compare import machine, words  # noqa: E402
from targets import Installation, sql  # noqa: E402

RESOLVE, PROXY = "policies/src/judge/resolve.rs", "proxy/src"
OWN = 'Resolved::plain("@own", Reason::NoRight)'
CATALOG = 'Resolved::plain("pg_catalog", Reason::NoRight)'

# What is broken: its kind, its name, and either what stands where in the sources and what stands there instead, or SQL.
# BROKEN stands for "this defect is the chosen one".
DEFECTS = [
    ("rule removed", "the judge takes another's schema for the tenant's own", [
        (RESOLVE, '        Some(_) => Resolved::plain("@foreign", Reason::ForeignSchema),',
         f'        Some(_) if BROKEN => {OWN},\n        Some(_) => Resolved::plain("@foreign", Reason::ForeignSchema),')]),
    ("rule removed", "a path may lead to another's schema", [
        (RESOLVE, '        _ => Resolved::plain("@foreign", Reason::ForeignSchema),\n    }',
         f'        _ if BROKEN => {OWN},\n        _ => Resolved::plain("@foreign", Reason::ForeignSchema),\n    }}')]),
    ("rule removed", "PostgreSQL's catalogs are read unfiltered", [
        (RESOLVE, "            RelationUse::View => replaced,\n            RelationUse::Raw => Resolved::plain(\"pg_catalog\"",
         f'            RelationUse::View if BROKEN => {CATALOG},\n            RelationUse::View => replaced,\n            RelationUse::Raw => Resolved::plain("pg_catalog"')]),
    ("rule removed", "functions that name things are not replaced", [
        (RESOLVE, "            FunctionUse::Replaced => replaced,", f"            FunctionUse::Replaced if BROKEN => {CATALOG},\n            FunctionUse::Replaced => replaced,")]),
    ("rule removed", "forbidden functions are permitted", [
        (RESOLVE, "            FunctionUse::Forbidden | FunctionUse::Unknown => {", f"            FunctionUse::Forbidden | FunctionUse::Unknown if BROKEN => {CATALOG},\n            FunctionUse::Forbidden | FunctionUse::Unknown => {{")]),
    ("check skipped", "only the first statement of a text is judged", [
        ("policies/src/judge.rs", "for (index, statement) in reading.statements.iter().enumerate() {\n            if let Some(error)",
         "for (index, statement) in reading.statements.iter().enumerate().take(if BROKEN { 1 } else { usize::MAX }) {\n            if let Some(error)")]),
    ("check skipped", "names in string constants are not judged", [
        ("policies/src/judge.rs", "                match self.decide(access, namespace) {\n                    Ok(rule) if rules",
         "                if BROKEN && access.literal { continue; }\n                match self.decide(access, namespace) {\n                    Ok(rule) if rules")]),
    ("check skipped", "names below a query's surface are not read", [
        ("policies/src/read/walk.rs", "            NodeRef::RangeVar(relation) => self.relation(relation),",
         "            NodeRef::SubLink(_) | NodeRef::CommonTableExpr(_) if BROKEN => {}\n            NodeRef::RangeVar(relation) => self.relation(relation),"),
        ("policies/src/read/union.rs", "    add(statements, &saw);", "    if !BROKEN { add(statements, &saw); }")]),
    ("check skipped", "a foreign name is answered in words of its own", [
        ("policies/src/judge/words.rs", "        Reason::ForeignSchema => missing(access),",
         '        Reason::ForeignSchema if BROKEN && super::resolve::SEEN.lock().is_ok_and(|seen| seen.contains(access.schema.as_deref().unwrap_or(&access.name))) => ("42501", no_right(access)),\n        Reason::ForeignSchema => missing(access),'),
        (RESOLVE, "pub(crate) fn resolve(access: &Access, ns: &Namespace) -> Resolved {",
         "pub(crate) fn resolve(access: &Access, ns: &Namespace) -> Resolved {\n    if BROKEN && let Ok(mut seen) = SEEN.lock() { seen.insert(ns.schema.clone()); }"),
        (RESOLVE, "/// A name, resolved.",
         "pub(crate) static SEEN: std::sync::LazyLock<std::sync::Mutex<std::collections::HashSet<String>>> = std::sync::LazyLock::new(Default::default);\n/// A name, resolved.")]),
    ("shared", "channels are everybody's", [
        ("policies/src/rewrite.rs", '    format!("{}:{name}", namespace.schema)', '    if BROKEN { return name.to_owned(); }\n    format!("{}:{name}", namespace.schema)')]),
    ("shared", "one pool serves all tenants", [
        (f"{PROXY}/pool.rs", "        let key = Key::of(shared, tenant, login);\n        let definitions",
         "        let mut key = Key::of(shared, tenant, login);\n        if BROKEN { (key.tenant, key.slug, key.role) = Default::default(); }\n        let definitions"),
        (f"{PROXY}/pool.rs", "Pool::new(free.key().clone(), tenant,", "Pool::new(Key::of(shared, tenant, login), tenant,")]),
    ("shared", "verdicts are remembered without the tenant", [
        (f"{PROXY}/verdicts.rs", "        self.cache.get(text).filter(|known| known.stamp == stamp)",
         "        if BROKEN && let Some(known) = EVERYBODYS.lock().get(text) {\n            return Some(known.clone());\n        }\n        self.cache.get(text).filter(|known| known.stamp == stamp)"),
        (f"{PROXY}/verdicts.rs", "        let judged = Arc::new(Judged::new(wall.stamp(), text, observed));",
         "        let judged = Arc::new(Judged::new(wall.stamp(), text, observed));\n        if BROKEN { EVERYBODYS.lock().insert(text.to_owned(), judged.clone()); }"),
        (f"{PROXY}/verdicts.rs", "/// A text with what was decided about it.",
         "static EVERYBODYS: std::sync::LazyLock<parking_lot::Mutex<std::collections::HashMap<String, Arc<Judged>>>> = std::sync::LazyLock::new(Default::default);\n/// A text with what was decided about it.")]),
    ("shared", "prepared statements are everybody's", [
        (f"{PROXY}/session/extended.rs", "        self.names.insert(name.clone(), Named::Protocol(prepared.clone()));",
         "        if BROKEN { EVERYBODYS.lock().insert(name.to_string(), prepared.clone()); }\n        self.names.insert(name.clone(), Named::Protocol(prepared.clone()));"),
        (f"{PROXY}/session/extended.rs", "            self.names.get(name).cloned()",
         "            self.names.get(name).cloned().or_else(|| EVERYBODYS.lock().get(name).filter(|_| BROKEN).cloned().map(Named::Protocol))"),
        (f"{PROXY}/session/extended.rs", "/// Longest name of a statement or portal, in bytes.",
         "static EVERYBODYS: std::sync::LazyLock<parking_lot::Mutex<std::collections::HashMap<String, Arc<Prepared>>>> = std::sync::LazyLock::new(Default::default);\n/// Longest name of a statement or portal, in bytes.")]),
    ("shared", "a cancel ends whatever runs", [
        (f"{PROXY}/clients.rs", "        let found = self.all.lock().get(&pid).cloned();\n        let Some(client) = found else { return };\n        if bool",
         "        let found = self.all.lock().get(&pid).cloned();\n        if BROKEN { for client in self.all() { self.send(&client).await; } }\n        let Some(client) = found else { return };\n        if bool")]),
    ("database wall", "everybody may use every tenant's schema and tables", [
        ("control-plane/src/foundation.rs", '&[("app", &app), ("readonly", &readonly)])\n    ));\n    sql\n}',
         '&[("app", &app), ("readonly", &readonly)])\n    ));\n    if BROKEN {\n        sql.push_str(&format!("GRANT USAGE ON SCHEMA {schema} TO PUBLIC; ALTER DEFAULT PRIVILEGES FOR ROLE {owner} IN SCHEMA {schema} GRANT ALL ON TABLES TO PUBLIC;\\n"));\n    }\n    sql\n}')]),
    ("filter removed", "the filtered catalogs show every schema",
     "CREATE OR REPLACE FUNCTION palisade.namespaces() RETURNS oid[] LANGUAGE sql STABLE SECURITY DEFINER AS $$ SELECT array_agg(oid) FROM pg_catalog.pg_namespace $$"),
    ("filter removed", "the numbers of others' objects are shown as names",
     "CREATE OR REPLACE FUNCTION palisade.known(catalog text, object oid) RETURNS boolean LANGUAGE sql STABLE AS $$ SELECT true $$"),
    ("filter removed", "statistics of all tables are shown",
     "CREATE OR REPLACE VIEW palisade.pg_stat_all_tables AS SELECT * FROM pg_catalog.pg_stat_all_tables"),
    ("filter removed", "everybody's sessions are shown",
     "CREATE OR REPLACE VIEW palisade.pg_stat_activity AS SELECT * FROM pg_catalog.pg_stat_activity"),
    ("filter removed", "advisory locks are everybody's",
     "CREATE OR REPLACE FUNCTION palisade.pg_try_advisory_lock(bigint) RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT pg_catalog.pg_try_advisory_lock($1) $$;"
     "CREATE OR REPLACE FUNCTION palisade.pg_try_advisory_xact_lock(bigint) RETURNS boolean LANGUAGE sql VOLATILE AS $$ SELECT pg_catalog.pg_try_advisory_xact_lock($1) $$"),
]

# The probes of every new tenant, which keep a broken build from opening any: left out where the leak test itself is tried.
PROBES = [
    ("control-plane/src/verify.rs", "    let Some(proxy) = &shared.config.verify_through else {",
     '    if std::env::var_os("PALISADE_UNPROBED").is_some() { return Ok(Some("left out")); }\n    let Some(proxy) = &shared.config.verify_through else {'),
    ("control-plane/src/verify.rs", "    if fingerprint.as_deref() == Some(template.fingerprint.as_str()) {",
     '    if std::env::var_os("PALISADE_UNPROBED").is_some() || fingerprint.as_deref() == Some(template.fingerprint.as_str()) {'),
]


def places():
    """Every defect's places in the sources: its number, the file, what stands there and what is put there."""
    for number, (_, _, edits) in enumerate(DEFECTS, 1):
        for name, old, new in edits if isinstance(edits, list) else []:
            yield number, name, old, new
    for name, old, new in PROBES:
        yield 0, name, old, new


def check():
    """Whether every place is there exactly once; says which is not."""
    wrong = [(number, name, old) for number, name, old, _ in places() if (ROOT / name).read_text().count(old) != 1]
    for number, name, old in wrong:
        print(f"defect {number} has to be written anew: {name} does not have once what it replaces:\n{old}", file=sys.stderr)
    return not wrong


def break_source(source):
    """Puts every defect in, each behind its number. Each place must be there exactly once."""
    def replaced(name, old, new):
        file = source / name
        text = file.read_text()
        if text.count(old) != 1:
            raise SystemExit(f"{name}: {old!r} stands there {text.count(old)} times; the defect has to be written anew")
        file.write_text(text.replace(old, new))

    for number, name, old, new in places():
        replaced(name, old, new.replace("BROKEN", f'(std::env::var("PALISADE_DEFECT").as_deref() == Ok("{number}"))'))


def attack(options, binary, work, number, change, unprobed):
    """Leaks by run, attacker and class, each with when it was found first; or None with why it did not come so far."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    os.environ["PALISADE_DEFECT"] = str(number)
    os.environ.update({"PALISADE_UNPROBED": "1"} if unprobed else {})
    try:
        it = Installation(binary, work / "installation", options.port)
    except SystemExit:
        return None, (work / "palisade.log").read_text().rstrip().rsplit("\n", 1)[-1][-300:]
    finally:
        os.environ.pop("PALISADE_UNPROBED", None)
        os.environ.pop("PALISADE_DEFECT")
    try:
        if change:
            sql(it.env["PALISADE_DATABASE_URL"], change)
        command = [options.attacker or binary, "leak-test", "--duration", f"{options.seconds}s", "--seed", str(options.seed), "--walls", "each",
                   "--admin", it.env["PALISADE_DATABASE_URL"], "--report", str(work / "report"), "--key-file", str(work / "key")]
        ended = subprocess.run(command, env={**os.environ, **it.env}, capture_output=True, text=True, timeout=3 * options.seconds + 300)
        if ended.returncode == 2:
            return None, ended.stderr.strip()[-300:]
        report = json.loads((work / "report/report.json").read_text())["report"]
        found = {}
        for wall, outcome in report["walls"].items():
            for leak in outcome["leaks"]:
                key = (wall, leak["attacker"], leak["class"])
                found[key] = min(found.get(key, 1e9), leak["after_seconds"])
        return found, ""
    finally:
        it.stop()


def tried(options, binary, work, number, usual):
    """What was found of one defect."""
    kind, name, edits = DEFECTS[number - 1]
    change = None if isinstance(edits, list) else edits
    found, why = attack(options, binary, work, number, change, False)
    stopped = why if found is None else None
    if found is None:
        # The probes of a new tenant have caught it; the leak test must do so by itself.
        found, why = attack(options, binary, work, number, change, True)
    new = {} if found is None else {key: at for key, at in found.items() if key not in usual}
    by = sorted(new.items(), key=lambda item: item[1])
    return {"kind": kind, "defect": name, "found": bool(new) or stopped is not None, "stopped_before": stopped,
            "could_not_be_attacked": why if found is None else None,
            "by": [{"run": k[0], "attacker": k[1], "class": k[2], "after_seconds": round(at, 1)} for k, at in by]}


def line(row):
    by = "<br>".join(f"{b['attacker']} / {b['class']}, {b['run']}, {b['after_seconds']} s" for b in row["by"][:4])
    cell = lambda text: (text or "").replace("|", "\\|").replace("\n", " ")  # noqa: E731
    attacked = by or (f"could not be attacked: {cell(row['could_not_be_attacked'])}" if row["could_not_be_attacked"] else "**not found**")
    return f"| {row['kind']} | {row['defect']} | {cell(row['stopped_before']) or '–'} | {attacked} |\n"


def main():
    p = argparse.ArgumentParser(prog="bench/leak/defects.sh", description=__doc__)
    p.add_argument("--seconds", type=int, default=15, help="length of each of a defect's three runs (15)")
    p.add_argument("--seed", type=int, default=1, help="where everything random comes from (1)")
    p.add_argument("--check", action="store_true", help="only look whether every defect's place is still in the sources")
    p.add_argument("--only", type=int, nargs="+", help="these defects, by their numbers from 1")
    p.add_argument("--port", type=int, default=27500, help="first of four ports")
    p.add_argument("--binary", help="a build that has the defects already, such as an earlier run's (--keep)")
    p.add_argument("--keep", help="keep the broken build in this file")
    p.add_argument("--attacker", help="the palisade that attacks; otherwise the broken build itself does")
    p.add_argument("--target", default=str(ROOT / "target/defects"), help="cargo's folder for the broken build")
    p.add_argument("--out", default=str(ROOT / "bench/results"), help="folder for the results")
    options = p.parse_args()
    if options.check:
        sys.exit(0 if check() else 1)
    work = Path(tempfile.mkdtemp(prefix="palisade-defects-"))
    os.chmod(work, 0o755)
    source, binary = work / "source", Path(options.binary or Path(options.target) / "debug/palisade")
    try:
        if not options.binary:
            subprocess.run(["git", "-C", str(ROOT), "worktree", "add", "-q", "--detach", str(source), "HEAD"], check=True)
            break_source(source)
            print("building …", flush=True)
            subprocess.run(["cargo", "build", "--locked", "-q", "-p", "palisade"], cwd=source, env={**os.environ, "CARGO_TARGET_DIR": options.target}, check=True)
            if options.keep:
                shutil.copy2(binary, options.keep)
        # Each wall alone lets something through; that is told apart from what a defect lets through. It is looked for twice,
        # and for longer: what is seldom found must not be taken for a defect's.
        usual = set()
        for seed in (options.seed, options.seed + 1):
            longer = argparse.Namespace(**{**vars(options), "seconds": 3 * options.seconds, "seed": seed})
            found, why = attack(longer, binary, work / "run", 0, None, False)
            if found is None or any(key[0] == "both walls" for key in found):
                raise SystemExit(f"what is not broken leaks, or does not run: {found or why}")
            usual |= found.keys()
        rows = []
        for number in options.only or range(1, len(DEFECTS) + 1):
            rows.append(tried(options, binary, work / "run", number, usual))
            print(f"{number}. {line(rows[-1]).strip()}", flush=True)
    finally:
        if source.exists():
            subprocess.run(["git", "-C", str(ROOT), "worktree", "remove", "--force", str(source)], check=False)
        shutil.rmtree(work, ignore_errors=True)
    missed = [row["defect"] for row in rows if not row["found"]]
    attacked = sum(bool(row["by"]) for row in rows)
    results = {"commit": words("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"), "machine": machine(),
               "command": f"bench/leak/defects.sh --seconds {options.seconds} --seed {options.seed}", "defects": rows,
               "goals": [{"name": "Seeded defects found", "goal": f"{len(rows)} of {len(rows)}", "measured": f"{len(rows) - len(missed)}, {attacked} of them by the attackers", "met": not missed}]}
    name = Path(options.out) / f"defects-{datetime.date.today()}"
    name.with_suffix(".json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    name.with_suffix(".md").write_text(f"# Seeded defects\n\nCommit {results['commit']}; {results['machine']}; `{results['command']}`\n\n"
                                       "Where the probes of every new tenant stopped a defect, it was attacked once more with them left out.\n\n"
                                       f"| kind | what was broken | stopped before a tenant was opened | found by whom, in which run, when |\n|---|---|---|---|\n{''.join(map(line, rows))}")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
