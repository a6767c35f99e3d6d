"""Makes tenants under faults and proves that nothing half-done stays.

    bench/provisioning/faults.py [--faults 1000] [--seed N] [--binary target/debug/palisade]

Workers ask for tenants, each request twice with one Idempotency-Key, while faults come at random: the control plane is
killed, a server connection is cut, PostgreSQL is restarted, its disk is full, a template breaks at a random step. Behind
it there must be no orphan role, schema or row, no operation that runs, a reason for each that failed, and one tenant for
each request. Exit code 0: all of that holds.
"""

import argparse
import http.client
import json
import os
import pathlib
import random
import shutil
import subprocess
import tempfile
import threading
import time
import uuid

from measure import Client, Installation

STEPS = 12
WORKERS = 4
# One in so many steps breaks.
BREAKS = 80


def breaking_template():
    """Each step divides by a random number that is sometimes zero."""
    out = []
    for n in range(STEPS):
        out.append(f"CREATE TABLE t{n} (id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, n int NOT NULL);")
        out.append(f"INSERT INTO t{n} (n) SELECT 1 / floor(random() * {BREAKS})::int;")
    return "\n".join(out) + "\n"


class Faults:
    def __init__(self, it, seed):
        self.it, self.chance = it, random.Random(seed)
        self.done = {}
        self.lock = threading.Lock()
        self.shelf = pathlib.Path(it.folder) / "small"

    def count(self, name, n=1):
        with self.lock:
            self.done[name] = self.done.get(name, 0) + n

    def total(self):
        with self.lock:
            return sum(self.done.values())

    def kill(self):
        self.it.process.kill()
        self.it.process.wait()
        self.it.start()
        self.count("control plane killed")

    def cut(self):
        names = "'palisade control plane', 'palisade probe', 'palisade migration'"
        cut = self.it.sql(
            f"SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity WHERE application_name IN ({names})"
            f" AND state IS DISTINCT FROM 'idle' ORDER BY random() LIMIT 1) x")
        self.count("server connection cut", int(cut))

    def restart(self):
        self.pg_ctl("restart", "-m", "immediate", "-w")
        self.count("server restarted")

    def pg_ctl(self, *args):
        data = (self.it.folder / "data/postgres").resolve()
        binary = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))[-1]
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups"] if os.getuid() == 0 else []
        subprocess.run([*as_user, str(binary), "-D", str(data), *args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def small_disk(self):
        """A tablespace on a disk of a few MiB; only root can make one."""
        if os.getuid() != 0:
            return False
        self.shelf.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", self.shelf], stderr=subprocess.DEVNULL)
        if mounted.returncode != 0:
            return False
        shutil.chown(self.shelf, "postgres", "postgres")
        self.it.sql(f"CREATE TABLESPACE small LOCATION '{self.shelf}'")
        # What a tenant's owner makes goes there too: it must meet the full disk, not a missing right.
        self.it.sql("GRANT CREATE ON TABLESPACE small TO PUBLIC")
        return True

    def full(self):
        """New objects go to the small disk, which is full."""
        ballast = self.shelf / "ballast"
        try:
            with open(ballast, "wb", buffering=0) as file:
                while file.write(b"x" * 4096):
                    pass
        except OSError:
            pass
        self.it.sql("ALTER SYSTEM SET default_tablespace = 'small'")
        self.it.sql("SELECT pg_reload_conf()")
        time.sleep(0.4)
        self.it.sql("ALTER SYSTEM RESET default_tablespace")
        self.it.sql("SELECT pg_reload_conf()")
        ballast.unlink(missing_ok=True)
        self.count("disk full")

    def one(self, small):
        draw = self.chance.random()
        if draw < 0.05:
            self.kill()
        elif draw < 0.10:
            self.restart()
        elif draw < 0.18 and small:
            self.full()
        else:
            self.cut()


class Worker(threading.Thread):
    def __init__(self, it, faults, number, stop):
        super().__init__()
        self.it, self.faults, self.number, self.stop = it, faults, number, stop
        self.made, self.twice = {}, 0

    def ask(self, slug, key):
        client = Client(self.it.ports[0], self.it.token)
        client.headers["Idempotency-Key"] = key
        return client.call("POST", "/tenants", {"slug": slug})

    def run(self):
        n = 0
        while not self.stop.is_set():
            n += 1
            slug, key = f"w{self.number}-{n}", str(uuid.uuid4())
            until = time.monotonic() + 90
            while time.monotonic() < until:
                try:
                    status, body = self.ask(slug, key)
                except (OSError, ValueError, http.client.HTTPException):
                    time.sleep(0.1)
                    continue
                if status in (200, 201):
                    self.made[slug] = body["tenant"]["id"]
                    again = self.again(slug, key)
                    if again is not None and again != self.made[slug]:
                        raise SystemExit(f"{slug}: two tenants for one request")
                    break
                if "division by zero" in json.dumps(body):
                    self.faults.count("template broken")
                    break
                time.sleep(0.1)

    def again(self, slug, key):
        try:
            status, body = self.ask(slug, key)
        except (OSError, ValueError, http.client.HTTPException):
            return None
        self.twice += status in (200, 201)
        return body["tenant"]["id"] if status in (200, 201) else None


def checks(it, workers):
    until = time.monotonic() + 120
    open_operations = "SELECT count(*) FROM palisade_control.operations WHERE state = 'running'"
    while int(it.sql(open_operations)) and time.monotonic() < until:
        time.sleep(0.5)
    names = {slug: made for worker in workers for slug, made in worker.made.items()}
    active = dict(line.split("|") for line in it.sql(
        "SELECT slug, id FROM palisade_control.tenants WHERE observed_state = 'active'").splitlines())
    number = lambda text: int(it.sql(text))
    tenants = number("SELECT count(*) FROM palisade_control.tenants")
    found = {
        "operations that run": number(open_operations),
        "failed operations without a reason": number(
            "SELECT count(*) FROM palisade_control.operations WHERE state NOT IN ('succeeded', 'running') AND error->>'message' IS NULL"),
        "tenants that are not active": number("SELECT count(*) FROM palisade_control.tenants WHERE observed_state <> 'active'"),
        "schemas too many": number("SELECT count(*) FROM pg_namespace WHERE nspname LIKE 't\\_%'") - tenants,
        "roles too many": number("SELECT count(*) FROM pg_roles WHERE rolname LIKE 't\\_%'") - 4 * tenants,
        "logins too many": number("SELECT count(*) FROM palisade_control.logins") - 3 * tenants,
        "tables too many": number(
            "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname LIKE 't\\_%' AND c.relkind = 'r'") - STEPS * tenants,
        "acknowledged tenants that are gone": sum(active.get(slug) != made for slug, made in names.items()),
    }
    failed = number("SELECT count(*) FROM palisade_control.operations WHERE state = 'failed'")
    reasons = it.sql("SELECT count(*), left(error->>'message', 100) FROM palisade_control.operations WHERE state = 'failed' GROUP BY 2 ORDER BY 1 DESC LIMIT 20")
    print("what failed operations say:", reasons.replace("\n", "; "), flush=True)
    print(f"{tenants} tenants, {len(names)} acknowledged, {sum(w.twice for w in workers)} requests answered twice alike,"
          f" {failed} operations undone", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--binary", default="target/debug/palisade")
    args = parser.parse_args()
    print(f"seed {args.seed}", flush=True)
    folder = tempfile.mkdtemp(prefix="palisade-faults-")
    os.chmod(folder, 0o755)
    it = Installation(args.binary, folder)
    (it.folder / "template").mkdir()
    (it.folder / "template/V1__init.sql").write_text(breaking_template())
    faults = Faults(it, args.seed)
    small = False
    try:
        for attempt in range(20):
            try:
                it.start()
                break
            except SystemExit:
                # The template broke in its trial: that is refused, and tried again.
                if attempt == 19:
                    raise
        small = faults.small_disk()
        stop = threading.Event()
        workers = [Worker(it, faults, n, stop) for n in range(WORKERS)]
        for worker in workers:
            worker.start()
        while faults.total() < args.faults:
            time.sleep(faults.chance.uniform(0.05, 0.7))
            try:
                faults.one(small)
            except subprocess.CalledProcessError:
                # PostgreSQL was restarting by itself.
                time.sleep(0.2)
        stop.set()
        for worker in workers:
            worker.join()
        print(", ".join(f"{name}: {n}" for name, n in sorted(faults.done.items())), flush=True)
        found = checks(it, workers)
        wrong = {name: n for name, n in found.items() if n}
        print("nothing half-done" if not wrong else f"WRONG: {wrong}", flush=True)
        return 1 if wrong else 0
    finally:
        it.stop()
        if small:
            subprocess.run(["umount", "-l", faults.shelf], check=False)
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
