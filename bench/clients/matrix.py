#!/usr/bin/env python3
"""Plays the script with each client, through the proxy and direct, and compares. See run.sh."""
import difflib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import install

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
LIMIT = 400  # seconds that one client may take for the whole script
STAMP = int(time.time()) % 1_000_000  # makes this run's names its own
SHOWN = 12  # differences printed in full for each client


def settings(path):
    """The variables of a file that `palisade up` wrote."""
    pairs = re.findall(r"^export (\w+)='?([^'\n]*)'?$", Path(path).read_text(), re.M)
    return dict(pairs)


def admin_sql(url, text):
    subprocess.run(["psql", url, "-X", "-q", "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True, capture_output=True)


def with_parts(url, user=None, password=None, host=None, database=None):
    """`url` with some of its parts replaced."""
    u = urlsplit(url)
    place = f"{user or u.username}:{password or u.password}@{host or f'{u.hostname}:{u.port}'}"
    return urlunsplit((u.scheme, place, "/" + (database or u.path.lstrip("/")), u.query, ""))


class Direct:
    """A plain database with one owner, as an application without tenants would have it."""

    def __init__(self, env, client):
        self.admin = env["PALISADE_DATABASE_URL"]
        # Names as long as the tenant's, since tables of text are as wide as what stands in them.
        self.name, self.user = f"direct_{client}_{STAMP}", f"o{STAMP % 10000:04}"
        self.url = with_parts(self.admin, user=self.user, password="direct", database=self.name)

    def __enter__(self):
        self.remove()
        # The same locale as the tenants' database has; that is PostgreSQL's default, by template0.
        admin_sql(self.admin, f"CREATE ROLE {self.user} LOGIN PASSWORD 'direct';")
        admin_sql(self.admin, f"CREATE DATABASE {self.name} TEMPLATE template0 ENCODING 'UTF8' OWNER {self.user};")
        admin_sql(with_parts(self.admin, database=self.name), f"ALTER SCHEMA public OWNER TO {self.user};")
        self.template()
        return self

    def template(self):
        for file in sorted((ROOT / "migrations/tenant").glob("*.sql"), key=lambda f: int(re.sub(r"\D+", "", f.name.split("__")[0]))):
            admin_sql(self.url, file.read_text())

    def remove(self):
        admin_sql(self.admin, f"DROP DATABASE IF EXISTS {self.name} WITH (FORCE);")
        admin_sql(self.admin, f"DROP ROLE IF EXISTS {self.user};")

    def __exit__(self, *_):
        self.remove()


class Tenant:
    """A fresh tenant, made through the API, removed afterwards."""

    def __init__(self, env, client):
        self.env, self.name = env, f"matrix-{client.replace('_', '-')}-{STAMP}"
        self.user = "owner"

    def palisade(self, *words):
        binary = os.environ.get("PALISADE_BIN", str(ROOT / "target/debug/palisade"))
        return subprocess.run([binary, *words], env={**os.environ, **self.env}, text=True, check=True, capture_output=True).stdout

    def __enter__(self):
        made = json.loads(self.palisade("tenant", "create", self.name, "--json"))
        self.url = {c["login"]: c["url"] for c in made["credentials"]}["owner"]
        return self

    def __exit__(self, *_):
        said = self.palisade("tenant", "rollback", self.name)
        confirmation = re.search(r"--confirm[ =]+(\S+)", said)
        if confirmation:
            self.palisade("tenant", "rollback", self.name, "--confirm", confirmation.group(1))


class Crowd:
    """Other clients of the same login, so that connections change hands between the script's transactions."""

    def __init__(self, url):
        self.url = url

    def __enter__(self):
        folder = install.cache()
        (folder / "crowd.sql").write_text("SET work_mem = '3MB';\nSET TIME ZONE 'Pacific/Chatham';\nSELECT 1;\n")
        pgbench = install.postgres_tool("pgbench")
        self.process = subprocess.Popen(
            [pgbench, "-n", "-c", "6", "-j", "1", "-T", str(LIMIT), "-R", "60", "-f", str(folder / "crowd.sql"), self.url],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait()


def play(command, target, log):
    """One client's transcript as {step: outcome}, and what went wrong with the client itself."""
    environment = {**os.environ, "PYTHONPATH": str(HERE), "NODE_PATH": str(install.cache() / "node/node_modules")}
    with open(log, "w") as out, open(log.with_suffix(".err"), "w") as err:
        process = subprocess.Popen([*command, target.url, str(HERE / "script.jsonl")], stdout=out, stderr=err, cwd=install.cache(), env=environment)
        try:
            ended = process.wait(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            ended = f"nothing after {LIMIT} s"
    records = [json.loads(line) for line in log.read_text().splitlines() if line.strip()]
    transcript = {r["step"]: neutral(r["outcome"], target) for r in records}
    if not ended:
        return transcript, None
    last = records[-1]["step"] if records else "(none)"
    return transcript, f"ended with {ended} after the step \"{last}\": {log.with_suffix('.err').read_text()[-800:]}"


def neutral(outcome, target):
    """An outcome with the names that must differ replaced by what they stand for."""
    place = urlsplit(target.url)
    text = json.dumps(outcome, ensure_ascii=False)
    text = re.sub(rf"\b{target.user}\b", "{user}", text)
    for found, put in ((target.name, "{database}"), (f"{place.hostname}:{place.port}", "{address}")):
        text = text.replace(found, put)
    return json.loads(re.sub(rf"\bport {place.port}\b", "port {port}", text))


def pretty(outcome):
    return json.dumps(outcome, indent=1, ensure_ascii=False, sort_keys=True).splitlines()


def compare(direct, proxied):
    """The steps whose outcomes differ, each with a diff."""
    found = {}
    for step in dict.fromkeys([*direct, *proxied]):
        a, b = direct.get(step), proxied.get(step)
        if a != b:
            lines = difflib.unified_diff(pretty(a), pretty(b), "direct", "proxy", lineterm="", n=1)
            found[step] = "\n".join(line[:400] for line in lines)
    return found


def known_differences():
    """{(client, step): reason} from known.txt: client or *, step, why; tab-separated."""
    known = {}
    for line in (HERE / "known.txt").read_text().splitlines():
        if line.strip() and not line.startswith("#"):
            client, step, reason = line.split("\t", 2)
            known[client, step] = reason
    return known


def run_client(env, client, known):
    """Plays one client both ways. Returns a row of the table."""
    started = time.monotonic()
    command = install.command(client)
    logs = install.cache() / "log"
    logs.mkdir(exist_ok=True)
    with Direct(env, client) as target:
        direct, failed = play(command, target, logs / f"{client}-direct.jsonl")
    if not failed:
        with Tenant(env, client) as target, Crowd(target.url):
            proxied, failed = play(command, target, logs / f"{client}-proxy.jsonl")
            failed = failed and "through the proxy: " + failed
    if failed:
        print(f"  {client}: {failed}")
        return {"client": client, "steps": 0, "different": 0, "known": 0, "ok": False, "seconds": time.monotonic() - started}
    different = compare(direct, proxied)
    excused = {s for s in different if (client, s) in known or ("*", s) in known}
    for step in [s for s in different if s not in excused][:SHOWN]:
        print(f"  {client}: {step}\n" + "\n".join("    " + line for line in different[step].splitlines()))
    for step in direct:
        if (client, step) in known and step not in different:
            print(f"  {client}: {step} is equal now: take it off bench/clients/known.txt")
    new = len(different) - len(excused)
    played = sum(1 for o in direct.values() if not isinstance(o, dict) or "skipped" not in o)
    return {"client": client, "steps": played, "different": new, "known": len(excused), "ok": new == 0 and played > 0,
            "seconds": time.monotonic() - started}


def table(rows):
    print(f"\n  {'client':<18}{'steps':>7}{'equal':>7}{'known':>7}{'differ':>8}{'seconds':>9}")
    for r in rows:
        equal = r["steps"] - r["different"] - r["known"]
        print(f"  {r['client']:<18}{r['steps']:>7}{equal:>7}{r['known']:>7}{r['different']:>8}{r['seconds']:>9.1f}  {'ok' if r['ok'] else 'FAILED'}")


def main(arguments):
    if arguments == ["--list"]:
        print("\n".join(install.CLIENTS))
        return 0
    if not arguments:
        print("usage: bench/clients/run.sh DEV_ENV [client…|all]   ·   bench/clients/run.sh --list", file=sys.stderr)
        return 2
    if not shutil.which("psql"):
        print("psql is missing", file=sys.stderr)
        return 2
    env = settings(arguments[0])
    names = list(install.CLIENTS) if arguments[1:] == ["all"] else arguments[1:] or install.SHORT
    known = known_differences()
    rows = []
    for client in names:
        print(f"{client} …", flush=True)
        try:
            rows.append(run_client(env, client, known))
        except subprocess.CalledProcessError as e:
            print(f"  {client}: {' '.join(map(str, e.cmd))[:200]}: {(e.stderr or e.stdout or '')[-800:]}")
            rows.append({"client": client, "steps": 0, "different": 0, "known": 0, "ok": False, "seconds": 0})
    table(rows)
    return 0 if all(r["ok"] for r in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
