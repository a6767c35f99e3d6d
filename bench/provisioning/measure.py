"""Measures the control plane: see run.sh."""

import argparse
import concurrent.futures
import datetime
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import template

ROOT = pathlib.Path(__file__).resolve().parents[2]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Installation:
    """A private installation; its data goes with it."""

    def __init__(self, binary, folder):
        self.binary, self.folder = str(pathlib.Path(binary).resolve()), pathlib.Path(folder)
        self.ports = [free_port() for _ in range(4)]
        self.process = None

    def start(self, **settings):
        names = ["CONTROL_PLANE__LISTEN", "PROXY__LISTEN", "PROXY__ADMIN_LISTEN", "PROXY__METRICS_LISTEN"]
        env = dict(os.environ, RUST_LOG="warn")
        for name, port in zip(names, self.ports):
            env[f"PALISADE__{name}"] = f"127.0.0.1:{port}"
        env["PALISADE__CONTROL_PLANE__REQUESTS_PER_SECOND"] = "100000"
        env["PALISADE__CONTROL_PLANE__TEMPLATE_DIR"] = str(self.folder / "template")
        env |= {f"PALISADE__CONTROL_PLANE__{k.upper()}": str(v) for k, v in settings.items()}
        ready = self.folder / "data/run/ready"
        ready.unlink(missing_ok=True)
        args = [self.binary, "up", "--no-demo", "--data-dir", str(self.folder / "data")]
        log = open(self.folder / "log", "a")
        self.process = subprocess.Popen(args, env=env, stdout=log, stderr=log)
        until = time.monotonic() + 120
        while not ready.exists():
            if self.process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"palisade up did not start; see {self.folder}/log")
            time.sleep(0.05)
        lines = (self.folder / "data/dev.env").read_text().splitlines()
        pairs = [line.removeprefix("export ").split("=", 1) for line in lines if "=" in line]
        self.env = {name: value.strip("'") for name, value in pairs}
        self.token = self.env["PALISADE_ADMIN_TOKEN"]

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def client(self):
        return Client(self.ports[0], self.token)

    def sql(self, text):
        out = subprocess.run(
            ["psql", "-XAtq", "-v", "ON_ERROR_STOP=1", self.env["PALISADE_DATABASE_URL"], "-c", text],
            capture_output=True, text=True, check=True,
        )
        return out.stdout.strip()

    def postgres_cpu(self):
        """CPU seconds of the server: the postmaster, its children that live and those that have ended."""
        data = self.folder / "data/postgres"
        root = int((data / "postmaster.pid").read_text().split()[0])
        ticks, tick = 0, os.sysconf("SC_CLK_TCK")
        for entry in pathlib.Path("/proc").iterdir():
            if not entry.name.isdigit():
                continue
            try:
                fields = (entry / "stat").read_text().rsplit(") ", 1)[1].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(entry.name) == root:
                ticks += sum(int(fields[i]) for i in (11, 12, 13, 14))
            elif int(fields[1]) == root:
                ticks += int(fields[11]) + int(fields[12])
        return ticks / tick


class Client:
    """One connection to the API that stays open."""

    def __init__(self, port, token):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=120)
        self.headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}

    def call(self, method, path, body=None):
        self.connection.request(method, "/api/v1" + path, json.dumps(body) if body is not None else None, self.headers)
        answer = self.connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def make(self, slug):
        started = time.perf_counter()
        status, body = self.call("POST", "/tenants", {"slug": slug})
        took = time.perf_counter() - started
        if status != 201 or body["tenant"]["observed_state"] != "active":
            raise SystemExit(f"{slug}: {status} {body}")
        return took, body


def percentile(values, part):
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, round(part * (len(ordered) - 1)))]


def sampled(client, name, count):
    """Tenants made one after the other: how long each took, and its steps."""
    took, steps = [], {}
    for n in range(count):
        seconds, body = client.make(f"{name}-{n}")
        took.append(seconds)
        for step in body["operation"]["steps"]:
            at = [datetime.datetime.fromisoformat(step[k]) for k in ("started_at", "finished_at")]
            steps.setdefault(step["name"], []).append((at[1] - at[0]).total_seconds() * 1000)
    return took, {name: round(percentile(v, 0.5), 1) for name, v in steps.items()}


def fill(it, wanted, workers):
    have = int(it.sql("SELECT count(*) FROM palisade_control.tenants"))
    started = time.monotonic()

    def some(numbers):
        client = it.client()
        for n in numbers:
            client.make(f"fill-{n}")

    lists = [range(have + w, wanted, workers) for w in range(workers)]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        list(pool.map(some, lists))
    print(f"filled to {wanted} tenants in {time.monotonic() - started:.0f} s", flush=True)


def scans(it):
    time.sleep(1.5)  # the statistics of idle backends are written with delay
    # By the counter itself: the view over it would scan pg_class.
    return int(it.sql("SELECT pg_stat_get_numscans('pg_class'::regclass)"))


def autovacuum(it, how):
    it.sql(f"ALTER SYSTEM SET autovacuum = {how}")
    it.sql("SELECT pg_reload_conf()")
    time.sleep(1)


def cold(it, name, count):
    client = it.client()
    sampled(client, f"{name}-first", 3)
    # Autovacuum looks through pg_class by itself; it is no part of making a tenant.
    autovacuum(it, "off")
    cpu, seq = it.postgres_cpu(), scans(it)
    took, steps = sampled(client, name, count)
    time.sleep(1)
    cpu = (it.postgres_cpu() - cpu) / count
    seq = scans(it) - seq
    autovacuum(it, "on")
    print(f"{name}: p50 {percentile(took, .5) * 1000:.0f} ms, p99 {percentile(took, .99) * 1000:.0f} ms,"
          f" PostgreSQL CPU {cpu * 1000:.0f} ms, pg_class scanned {seq} times; {steps}", flush=True)
    return {"took": took, "cpu": cpu, "scans": seq, "steps": steps}


def status_calls(it, count):
    client, took = it.client(), []
    for n in range(count):
        started = time.perf_counter()
        status, _ = client.call("GET", f"/tenants/full-{n % 20}/status")
        took.append(time.perf_counter() - started)
        assert status == 200
    print(f"status: p50 {percentile(took, .5) * 1000:.2f} ms, p99 {percentile(took, .99) * 1000:.2f} ms", flush=True)
    return took


def warm(it, count):
    it.stop()
    it.start(warm_pool_size=count)
    client = it.client()
    until = time.monotonic() + 60 + count
    while client.call("GET", "/warm-pool")[1]["ready"] < count:
        if time.monotonic() > until:
            raise SystemExit("the warm pool does not fill")
        time.sleep(0.5)
    # The first connections are made before it is measured; the pool is not refilled between the requests.
    it.stop()
    it.start(warm_pool_size=count)
    client = it.client()
    client.call("GET", "/whoami")
    took, steps = sampled(client, "warm", count - 2)
    print(f"warm: p50 {percentile(took, .5) * 1000:.0f} ms, p99 {percentile(took, .99) * 1000:.0f} ms; {steps}", flush=True)
    return took, steps


def migrate(it):
    client = it.client()
    files = [{"name": "V1__init.sql", "text": template.first()}, {"name": "V2__notes.sql", "text": template.second()}]
    (it.folder / "template/V2__notes.sql").write_text(template.second())
    status, body = client.call("POST", "/templates", {"name": "default", "files": files})
    assert status == 201, body
    wish = {"template": "default", "canary": [], "waves": [], "parallelism": os.cpu_count() * 2}
    started = time.monotonic()
    status, body = client.call("POST", "/migrations", wish)
    assert status == 202, body
    path = f"/migrations/{body['migration']['id']}"
    while (state := client.call("GET", path)[1])["state"] == "running":
        time.sleep(0.2)
    assert state["state"] == "succeeded", state
    took = time.monotonic() - started
    rate = state["targets"]["done"] / took
    print(f"migration: {state['targets']['done']} tenants in {took:.1f} s, {rate:.1f} tenants/s", flush=True)
    return rate


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), "?")
    return f"{os.cpu_count()} cores, {model}"


def goals(found, tenants):
    def ms(values, part):
        return round(percentile(values, part) * 1000, 1)

    ratio = round(found["full"]["cpu"] / found["empty"]["cpu"], 2)
    rows = [
        (f"POST to active, cold, p99, {tenants} tenants present (ms)", "< 1000", ms(found["full"]["took"], .99), lambda m: m < 1000),
        (f"POST to active, warm pool, p99, {tenants} tenants present (ms)", "< 50", ms(found["warm"], .99), lambda m: m < 50),
        (f"PostgreSQL CPU for one tenant, {tenants} present to none (ratio)", "<= 1.3", ratio, lambda m: m <= 1.3),
        ("Sequential scans of pg_class while tenants are made", "0", found["full"]["scans"], lambda m: m == 0),
        ("Status call, p99 (ms)", "< 10", ms(found["status"], .99), lambda m: m < 10),
        ("Catalog-only migration (tenants/s; 10,000 in 2 minutes)", ">= 83", round(found["rate"], 1), lambda m: m >= 83),
    ]
    return [{"name": n, "goal": g, "measured": m, "met": met(m)} for n, g, m, met in rows]


def report(found, args):
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True).stdout.strip()
    result = {"commit": commit, "machine": machine(), "build": "release" if "release" in args.binary else "development",
              "tenants": args.tenants, "command": f"bench/provisioning/run.sh --tenants {args.tenants} --samples {args.samples}",
              "goals": goals(found, args.tenants)}
    result["steps_ms_p50"] = {"cold": found["full"]["steps"], "warm": found["warm_steps"]}
    result["cold_p50_ms"] = round(percentile(found["full"]["took"], .5) * 1000, 1)
    result["warm_p50_ms"] = round(percentile(found["warm"], .5) * 1000, 1)
    result["cpu_ms"] = {k: round(found[k]["cpu"] * 1000, 1) for k in ("empty", "full")}
    out = pathlib.Path(args.out) / f"provisioning-{datetime.date.today()}"
    out.with_suffix(".json").write_text(json.dumps(result, indent=2) + "\n")
    lines = [f"# Provisioning, {datetime.date.today()}", "",
             f"Commit {commit}, {result['build']} build, {result['machine']}. Made by `{result['command']}`.", "",
             "| goal | wanted | measured | met |", "|---|---|---|---|"]
    lines += [f"| {g['name']} | {g['goal']} | {g['measured']} | {'yes' if g['met'] else 'no'} |" for g in result["goals"]]
    lines += ["", f"Medians: cold {result['cold_p50_ms']} ms, warm {result['warm_p50_ms']} ms. Steps of a cold creation in ms (verify and probe run side by side): "
              + ", ".join(f"{k} {v}" for k, v in found["full"]["steps"].items()) + ". PostgreSQL CPU for one tenant: "
              + f"{result['cpu_ms']['empty']} ms with none present, {result['cpu_ms']['full']} ms with {args.tenants}.", ""]
    out.with_suffix(".md").write_text("\n".join(lines))
    print(out.with_suffix(".md").read_text())


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--tenants", type=int, default=5000)
    parser.add_argument("--samples", type=int, default=100)
    parser.add_argument("--out", default=str(ROOT / "bench/results"))
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="palisade-provisioning-")
    os.chmod(folder, 0o755)
    it = Installation(args.binary, folder)
    (it.folder / "template").mkdir()
    (it.folder / "template/V1__init.sql").write_text(template.first())
    try:
        it.start()
        found = {"empty": cold(it, "empty", min(args.samples, 40))}
        fill(it, args.tenants, os.cpu_count() + 1)
        found["full"] = cold(it, "full", args.samples)
        found["status"] = status_calls(it, 2000)
        found["warm"], found["warm_steps"] = warm(it, min(args.samples, 60))
        found["rate"] = migrate(it)
        report(found, args)
    finally:
        it.stop()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
