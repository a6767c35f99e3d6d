"""Measures the audit trail. See run.sh."""
import argparse
import datetime
import hashlib
import json
import os
import random
import shutil
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
from targets import POOL, Installation, sql, tool, wait_for  # noqa: E402

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


class Proxy:
    """A proxy in a process of its own, before the installation's server."""

    def __init__(self, binary, it, folder, port, settings):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        server = urllib.parse.urlsplit(it.env["PALISADE_DATABASE_URL"])
        settings = {
            "LISTEN": f"127.0.0.1:{port}", "METRICS_LISTEN": f"127.0.0.1:{port + 1}", "SERVER": f"127.0.0.1:{server.port}",
            "MASTER_KEY_FILE": it.data / "keys/master.key", "SNAPSHOT_FILE": folder / "snapshot.json", "SPOOL_DIR": folder / "spool",
            "UPGRADE_SOCKET": folder / "upgrade.sock", "POOL_SIZE": POOL, **settings}
        owner = urllib.parse.urlsplit(it.env["PALISADE_URL_ACME_OWNER"])
        self.url = owner._replace(netloc=f"{owner.username}:{owner.password}@127.0.0.1:{port}").geturl()
        with open(folder / "log", "w") as log:
            self.process = subprocess.Popen([binary, "proxy"], env={**os.environ, **{f"PALISADE__PROXY__{k}": str(v) for k, v in settings.items()}}, stdout=log, stderr=log)
        ask = [tool("psql"), self.url, "-X", "-q", "-c", "SELECT 1"]
        wait_for("the proxy", lambda: subprocess.run(ask, capture_output=True).returncode == 0, self.process, folder / "log")

    def stop(self):
        self.process.terminate()
        self.process.wait()


def at_rest(*pids):
    """Waits until processes have nothing left to do: what a run left to be shipped and sealed is counted with it."""
    before = None
    while (now := [sum(speed.cpu_ticks(pid)) for pid in pids]) != before and (before is None or sum(now) - sum(before) > 2):
        before = now
        time.sleep(1)


def cost(options, work):
    """CPU for one transaction in each mode, of the proxy and of the control plane: the median of the rounds."""
    it = Installation(options.binary, work / "cost" / "installation", options.port)
    control, proxies = it.process.pid, {}
    try:
        subprocess.run([tool("pgbench"), "-i", "-q", it.env["PALISADE_URL_ACME_OWNER"]], check=True, capture_output=True)
        for number, (mode, settings) in enumerate(MODES.items()):
            proxies[mode] = Proxy(options.binary, it, work / "cost" / mode, options.port + 10 + 2 * number, settings)
        runs = {mode: [] for mode in MODES}
        for turn in range(options.rounds):
            order = list(MODES)
            for mode in order[turn % 3:] + order[:turn % 3]:
                pids = (proxies[mode].process.pid, control)
                at_rest(*pids)
                before = [sum(speed.cpu_ticks(pid)) for pid in pids]
                cell = speed.run("select-simple", CLIENTS, proxies[mode].url, pids[0], options.seconds)
                at_rest(*pids)
                after = [sum(speed.cpu_ticks(pid)) for pid in pids]
                cell["proxy"], cell["control"] = ((b - a) / speed.TICKS * 1e6 / (cell["tps"] * options.seconds) for a, b in zip(before, after))
                runs[mode].append(cell)
                print(f"  round {turn + 1} {mode:<8}{cell['tps']:>8.0f} tps; proxy {cell['proxy']:6.2f}, control plane {cell['control']:6.2f} µs/tx", flush=True)
        return {mode: {who: statistics.median(r[who] for r in rs) for who in ("proxy", "control", "tps")} for mode, rs in runs.items()}
    finally:
        for proxy in proxies.values():
            proxy.stop()
        it.stop()


def push_ns():
    """What a session pays to leave a statement to the trail's writer, in nanoseconds: Criterion's estimate."""
    subprocess.run(["cargo", "bench", "--locked", "-q", "-p", "palisade-bench", "--bench", "hot_path", "--", "audit"], cwd=ROOT, check=True, stdout=subprocess.DEVNULL)
    made = json.loads((ROOT / "target/criterion/audit/a statement is left to the writer/new/estimates.json").read_text())
    return made["median"]["point_estimate"]


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
    (work / "cost").mkdir(parents=True, exist_ok=True)
    (work / "search").mkdir(parents=True, exist_ok=True)
    push = push_ns()
    cpu = cost(options, work)
    more = {mode: (cpu[mode]["proxy"] / cpu["off"]["proxy"] - 1) * 100 for mode in ("default", "all")}
    goals = [
        goal("A statement left to the trail's writer (ns)", "< 200", push, push < 200),
        goal("CPU of the proxy for a transaction, default audit, above none (%)", "< 3", more["default"], more["default"] < 3),
        goal("CPU of the proxy for a transaction, every statement an event, written and shipped, above none (%)", "< 15", more["all"], more["all"] < 15),
    ]
    it = Installation(options.binary, work / "search" / "installation", options.port)
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
        f"CPU of a `pgbench -S` transaction in µs, with what is done after it:\n\n| audit | proxy | control plane (seals) | tps |\n|---|--:|--:|--:|\n"
        + "".join(f"| {mode} | {c['proxy']:.1f} | {c['control']:.1f} | {c['tps']:,.0f} |\n" for mode, c in cpu.items()) + "\n"
        + f"| filter | p50 ms | slowest ms |\n|---|--:|--:|\n{pages}")
    print(name.with_suffix(".md").read_text())


if __name__ == "__main__":
    main()
