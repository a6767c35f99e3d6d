"""The three ways to PostgreSQL that are measured, set up before one server."""
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from urllib.parse import urlsplit

ROOT = Path(__file__).resolve().parent.parent.parent
POOL = 10  # server connections, of PgBouncer and of Palisade's login alike
MOST_CLIENTS = 5000
START_LIMIT = 120  # seconds


def tool(name):
    """A PostgreSQL program or PgBouncer, where Debian puts it."""
    places = [*sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), reverse=True), Path("/usr/sbin") / name]
    found = shutil.which(name) or next((str(p) for p in places if p.exists()), None)
    if not found:
        raise SystemExit(f"{name} is missing: install postgresql-contrib (pgbench) and pgbouncer")
    return found


def sql(url, text):
    subprocess.run([tool("psql"), url, "-X", "-q", "-v", "ON_ERROR_STOP=1"], input=text, text=True, check=True, capture_output=True)


def wait_for(what, ready, process, log):
    deadline = time.monotonic() + START_LIMIT
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"{what} did not start; its log is {log}")
        time.sleep(0.2)


class Installation:
    """`palisade up` of the release build, with full enforcement and its default audit."""

    def __init__(self, binary, data, port):
        self.data, self.log = data, data.parent / "palisade.log"
        ports = {"PROXY__LISTEN": port, "CONTROL_PLANE__LISTEN": port + 1, "PROXY__ADMIN_LISTEN": port + 2, "PROXY__METRICS_LISTEN": port + 3}
        environment = {f"PALISADE__{k}": f"127.0.0.1:{v}" for k, v in ports.items()}
        environment["PALISADE__PROXY__TENANT_CLIENT_CONNECTIONS"] = str(MOST_CLIENTS)
        environment["PALISADE__PROXY__POOL_SIZE"] = str(POOL)
        environment["PALISADE__PROXY__UPGRADE_SOCKET"] = str(data.parent / "upgrade.sock")
        shutil.rmtree(data, ignore_errors=True)
        started = time.time()
        with open(self.log, "w") as log:
            self.process = subprocess.Popen([binary, "up", "--data-dir", str(data)], env={**os.environ, **environment}, stdout=log, stderr=log)
        env_file = data / "dev.env"
        wait_for("palisade", lambda: env_file.exists() and env_file.stat().st_mtime >= started - 1, self.process, self.log)
        self.env = dict(re.findall(r"^export (\w+)='?([^'\n]*)'?$", env_file.read_text(), re.M))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self.process.kill()


class PgBouncer:
    """PgBouncer in transaction mode with one login, as its manual sets it up."""

    def __init__(self, folder, server, port, database, user, verifier, binary):
        self.folder = folder
        self.log = folder / "pgbouncer.log"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "users.txt").write_text(f'"{user}" "{verifier}"\n')
        (folder / "pgbouncer.ini").write_text(
            f"[databases]\n{database} = host={server.hostname} port={server.port} dbname={database}\n"
            f"[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = scram-sha-256\n"
            f"auth_file = {folder}/users.txt\npool_mode = transaction\ndefault_pool_size = {POOL}\nmax_client_conn = {MOST_CLIENTS}\n"
            f"logfile = {self.log}\npidfile = {folder}/pid\n")
        command = [binary, "-q", str(folder / "pgbouncer.ini")]
        if os.geteuid() == 0:  # it refuses to run as root
            shutil.chown(folder, "postgres", "postgres")
            for file in folder.iterdir():
                shutil.chown(file, "postgres", "postgres")
            command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", *command]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for("pgbouncer", lambda: (folder / "pid").exists(), self.process, self.log)
        self.pid = int((folder / "pid").read_text())

    def stop(self):
        self.process.terminate()
        self.process.wait()


class Targets:
    """Everything that is measured: `urls` and `pids` by target. Direct has no proxy and so no pid."""

    def __init__(self, options):
        work = Path(options.work).resolve()
        work.mkdir(parents=True, exist_ok=True)
        self.stops = []
        self.installation = Installation(options.binary, work / "installation", options.port)
        self.stops.append(self.installation.stop)
        try:
            self.set_up(options, work)
        except BaseException:
            self.stop()
            raise

    def set_up(self, options, work):
        env = self.installation.env
        admin = urlsplit(env["PALISADE_DATABASE_URL"])
        sql(env["PALISADE_DATABASE_URL"], "CREATE ROLE bench LOGIN PASSWORD 'bench';")
        sql(env["PALISADE_DATABASE_URL"], "CREATE DATABASE bench TEMPLATE template0 ENCODING 'UTF8' OWNER bench;")
        # The verifier, as PostgreSQL keeps it: from a plain password PgBouncer would derive the keys anew at every login.
        shown = subprocess.run([tool("psql"), env["PALISADE_DATABASE_URL"], "-XAtc", "SELECT rolpassword FROM pg_authid WHERE rolname = 'bench'"],
                               capture_output=True, text=True, check=True)
        bouncer = PgBouncer(work / "pgbouncer", admin, options.port + 4, "bench", "bench", shown.stdout.strip(), options.pgbouncer or tool("pgbouncer"))
        self.stops.append(bouncer.stop)
        self.urls = {
            "direct": f"postgres://bench:bench@{admin.hostname}:{admin.port}/bench",
            "pgbouncer": f"postgres://bench:bench@127.0.0.1:{options.port + 4}/bench",
            "palisade": env["PALISADE_URL_ACME_OWNER"],
        }
        self.pids = {"direct": None, "pgbouncer": bouncer.pid, "palisade": self.installation.process.pid}
        for target in ("direct", "palisade"):
            subprocess.run([tool("pgbench"), "-i", "-q", self.urls[target]], check=True, capture_output=True)
        shown = subprocess.run([tool("psql"), env["PALISADE_DATABASE_URL"], "-XAtc", "SHOW max_connections"], capture_output=True, text=True, check=True)
        self.direct_limit = int(shown.stdout) - 20

    def stop(self):
        for stop in reversed(self.stops):
            stop()
