"""Measures the audit trail. See run.sh."""
import argparse
import datetime
import hashlib
import json
import os
import random
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "bench/speed"))
import measure as speed  # noqa: E402
from compare import machine, words  # noqa: E402
from targets import Installation, sql, tool  # noqa: E402

MODES = {
    "off": {"AUDIT_COUNTS": "false"},
    "default": {},
    "all": {"AUDIT_STATEMENTS": "all"},
}
CLIENTS = 16
EVENTS = """
INSERT INTO {table} (id, at, class, plane, action, decision, result, actor, tenant_id, event, number, leaf, month)
SELECT id, at, class, 'data', action, decision, result, actor, tenant,
  jsonb_build_object('v', 1, 'id', id, 'at', at, 'class', class, 'plane', 'data', 'action', action, 'decision', decision,
    'result', result, 'actor', actor, 'tenant_id', tenant, 'tenant', 'tenant-' || (n % 2000), 'client_addr', '10.0.0.1:5000',
    'session', md5((n / 40)::text), 'role_kind', actor, 'verb', 'SELECT', 'shape', 'SELECT id, name FROM table_' || (n % 500) || ' WHERE id = $1',
    'fingerprint', left(md5((n % 500)::text), 16), 'object', 'relation table_' || (n % 500) || ' select')
    || CASE decision WHEN 'deny' THEN jsonb_build_object('reason', 'foreign_schema', 'sqlstate', CASE n % 3 WHEN 0 THEN '3F000' ELSE '42501' END)
       ELSE '{{}}' END,
  n, sha256(n::text::bytea), '{month}'
FROM (SELECT n, gen_random_uuid() AS id, timestamptz '{month}' + (n - {first}) * interval '{step} microseconds' AS at,
        CASE WHEN n % 20 = 0 THEN 'A' ELSE 'B' END AS class, CASE WHEN n % 50 = 1 THEN 'login' ELSE 'statement' END AS action,
        CASE WHEN n % 20 = 0 THEN 'deny' ELSE 'allow' END AS decision, CASE WHEN n % 20 = 0 THEN 'denied' ELSE 'ok' END AS result,
        (ARRAY['owner', 'app', 'readonly'])[1 + n % 3] AS actor, left(md5((n % 2000)::text), 20) AS tenant
      FROM generate_series({first}, {last}) n) AS made;
"""


def cost(options, work):
    """CPU of the process for one transaction in each mode: the median of the rounds."""
    installations = {}
    try:
        for number, (mode, settings) in enumerate(MODES.items()):
            for name, value in settings.items():
                os.environ[f"PALISADE__PROXY__{name}"] = value
            installations[mode] = Installation(options.binary, work / mode / "installation", options.port + 10 * number)
            for name in settings:
                del os.environ[f"PALISADE__PROXY__{name}"]
            subprocess.run([tool("pgbench"), "-i", "-q", installations[mode].env["PALISADE_URL_ACME_OWNER"]], check=True, capture_output=True)
        runs = {mode: [] for mode in MODES}
        for turn in range(options.rounds):
            order = list(MODES)
            for mode in order[turn % 3:] + order[:turn % 3]:
                it = installations[mode]
                cell = speed.run("select-simple", CLIENTS, it.env["PALISADE_URL_ACME_OWNER"], it.process.pid, options.seconds)
                runs[mode].append(cell)
                print(f"  round {turn + 1} {mode:<8}{cell['tps']:>8.0f} tps {cell['proxy_cpu_us_per_tx']:7.1f} µs/tx", flush=True)
        return {mode: statistics.median(r["proxy_cpu_us_per_tx"] for r in rs) for mode, rs in runs.items()}
    finally:
        for it in installations.values():
            it.stop()


def fill(it, events):
    """Puts events into months before now, 12 of them, without the log's own work: what is searched is all that counts."""
    url, months = it.env["PALISADE_DATABASE_URL"], 12
    each, today = events // months, datetime.date.today().replace(day=1)
    for index in range(months):
        back = months - index
        month = (today.replace(day=1) - datetime.timedelta(days=31 * back)).replace(day=1)
        table = f"palisade_control.audit_events_{month:%Y_%m}"
        first = 1_000_000_000 + index * each
        begin = time.monotonic()
        sql(url, f"CREATE TABLE {table} (LIKE palisade_control.audit_events INCLUDING DEFAULTS);" + EVENTS.format(
            table=table, month=month, first=first, last=first + each - 1, step=28 * 86400 * 1_000_000 // each)
            + f"ALTER TABLE palisade_control.audit_events ATTACH PARTITION {table} FOR VALUES FROM ('{month}') TO ('{month + datetime.timedelta(days=32):%Y-%m-01}');"
            + f"ANALYZE {table};")
        print(f"  {(index + 1) * each:,} events, the last month in {time.monotonic() - begin:.0f} s", flush=True)
    sql(url, "ANALYZE palisade_control.audit_events;")


def questions(chance):
    """Filters as people ask, each with values that some events have."""
    n = chance.randrange(500)
    return [
        {}, {"tenant": hashed(chance.randrange(2000))[:20]}, {"decision": "deny"}, {"action": "login"},
        {"tenant": hashed(chance.randrange(2000))[:20], "decision": "deny"},
        {"actor": "app", "action": "login"}, {"sqlstate": "3F000"}, {"reason": "foreign_schema"},
        {"object": f"relation table_{n} "}, {"fingerprint": hashed(n)[:16]},
        {"session": hashed((1_000_000_000 + chance.randrange(1_000_000)) // 40)},
        {"since": (datetime.date.today() - datetime.timedelta(days=chance.randrange(40, 300))).isoformat() + "T00:00:00Z", "decision": "deny"},
    ]


def hashed(number):
    return hashlib.md5(str(number).encode()).hexdigest()


def search(it, rounds):
    """Milliseconds of each page, by filter."""
    chance, times = random.Random(7), {}
    for _ in range(rounds):
        for filters in questions(chance):
            query = urllib.parse.urlencode({"limit": 50, **filters})
            request = urllib.request.Request(f"{it.env['PALISADE_API_URL']}/api/v1/audit?{query}", headers={"Authorization": f"Bearer {it.env['PALISADE_ADMIN_TOKEN']}"})
            begin = time.monotonic()
            with urllib.request.urlopen(request, timeout=60) as answer:
                json.load(answer)
            times.setdefault(" ".join(filters) or "nothing", []).append((time.monotonic() - begin) * 1000)
    return times


def goal(name, wanted, measured, met):
    return {"name": name, "goal": wanted, "measured": round(measured, 2), "met": bool(met)}


def main():
    p = argparse.ArgumentParser(prog="bench/audit/run.sh", description=__doc__)
    p.add_argument("--events", type=int, default=10_000_000, help="events that are searched (10000000)")
    p.add_argument("--pages", type=int, default=50, help="pages asked of each filter (50)")
    p.add_argument("--rounds", type=int, default=6, help="runs of each mode (6)")
    p.add_argument("--seconds", type=int, default=4, help="length of one run (4)")
    p.add_argument("--binary", default=str(ROOT / "target/release/palisade"), help="the palisade to measure")
    p.add_argument("--commit", help="the commit that the binary was built from (the checkout's)")
    p.add_argument("--work", default=str(ROOT / "data/audit"), help="folder for the servers' data")
    p.add_argument("--out", default=str(ROOT / "bench/results"), help="folder for the results")
    p.add_argument("--port", type=int, default=26500, help="first of thirty ports")
    options = p.parse_args()
    work = Path(options.work).resolve()
    for mode in MODES:
        (work / mode).mkdir(parents=True, exist_ok=True)
    cpu = cost(options, work)
    more = {mode: (cpu[mode] / cpu["off"] - 1) * 100 for mode in ("default", "all")}
    goals = [
        goal("CPU of the whole process for a transaction, default audit, above none (%)", "< 3", more["default"], more["default"] < 3),
        goal("CPU of the whole process for a transaction, every statement an event, above none (%)", "< 15", more["all"], more["all"] < 15),
    ]
    it = Installation(options.binary, work / "search", options.port)
    try:
        fill(it, options.events)
        times = search(it, options.pages)
    finally:
        it.stop()
    everything = sorted(t for ts in times.values() for t in ts)
    p99 = speed.percentile(everything, 0.99)
    goals.append(goal(f"A filtered page of {options.events:,} events, p99 (ms)", "< 200", p99, p99 < 200 and options.events >= 10_000_000))
    for name, ts in times.items():
        print(f"  {name:<24} p50 {statistics.median(ts):8.1f} ms  slowest {max(ts):8.1f} ms")
    results = {
        "commit": options.commit or words("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"), "machine": machine(),
        "command": f"bench/audit/run.sh --events {options.events} --rounds {options.rounds} --seconds {options.seconds}",
        "cpu_us_per_tx": cpu, "pages_ms": {k: {"p50": statistics.median(v), "max": max(v)} for k, v in times.items()}, "goals": goals,
    }
    name = Path(options.out) / f"audit-{datetime.date.today()}"
    name.with_suffix(".json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    rows = "".join(f"| {g['name']} | {g['goal']} | {g['measured']} | {'yes' if g['met'] else 'missed'} |\n" for g in goals)
    pages = "".join(f"| {k} | {v['p50']:.1f} | {v['max']:.1f} |\n" for k, v in results["pages_ms"].items())
    name.with_suffix(".md").write_text(
        f"# The audit trail\n\nCommit {results['commit']}; {results['machine']}; `{results['command']}`\n\n| what | goal | measured | met |\n|---|---|--:|---|\n{rows}\n"
        f"| filter | p50 ms | slowest ms |\n|---|--:|--:|\n{pages}")
    print(name.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
