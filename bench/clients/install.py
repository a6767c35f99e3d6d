"""Installs what each client needs below the cache folder, and says how a client is run."""
import os
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SHORT = ["psql", "psycopg3", "node_pg", "tokio_postgres"]


def cache():
    folder = Path(os.environ.get("PALISADE_CLIENTS_CACHE", ROOT / "data/clients")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(*command, **more):
    subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, **more)


def postgres_tool(name):
    """psql or pgbench: from the path, or from Debian's folder of the server."""
    found = shutil.which(name) or next(iter(sorted(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{name}")), reverse=True)), None)
    if not found:
        raise SystemExit(f"{name} is missing: install postgresql-client and postgresql-contrib")
    return found


def python(*packages):
    """The interpreter of a virtual environment that has `packages`."""
    venv = cache() / "venv"
    interpreter = venv / "bin/python"
    if not interpreter.exists():
        run(sys.executable, "-m", "venv", venv)
    missing = [p for p in packages if not (venv / f".has-{p}").exists()]
    if missing:
        run(interpreter, "-m", "pip", "install", "-q", *missing)
        for p in missing:
            (venv / f".has-{p}").touch()
    return str(interpreter)


def node(*packages):
    folder = cache() / "node"
    folder.mkdir(exist_ok=True)
    missing = [p for p in packages if not (folder / "node_modules" / p.rsplit("@", 1)[0]).exists()]
    if missing:
        run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", folder, *missing)
    return "node"


def cargo(binary):
    """A client in Rust: a binary of the crate palisade-bench."""
    run("cargo", "build", "--locked", "-p", "palisade-bench", "--bin", binary, cwd=ROOT)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return str(target / "debug" / binary)


def orm(binary, *packages):
    """A client in Rust with a lock file of its own."""
    debian(*packages)
    target = cache() / "rust"
    run("cargo", "build", "--locked", "--manifest-path", HERE / "rust/Cargo.toml", "--target-dir", target, "--bin", binary)
    return str(target / "debug" / binary)


def debian(*packages):
    """Debian's packages; only root can install what is missing."""
    status = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Abbrev}\\n", *packages], capture_output=True, text=True).stdout
    there = {line.split()[0] for line in status.splitlines() if line.split()[1:] == ["ii"]}
    missing = [p for p in packages if p not in there]
    if missing and os.geteuid():
        raise SystemExit(f"these packages are missing: {' '.join(missing)}")
    if missing:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        run("apt-get", "update", "-qq")
        run("apt-get", "install", "-y", "-qq", "--no-install-recommends", *missing, env=quiet)


def go(program, package):
    """A client in Go, built from Debian's own sources of the driver."""
    debian("golang-go", package)
    binary = cache() / f"go_{program}"
    here = {**os.environ, "GO111MODULE": "off", "GOPATH": "/usr/share/gocode", "GOCACHE": str(cache() / "go"), "GOFLAGS": ""}
    run("go", "build", "-o", binary, "play.go", f"{program}.go", cwd=HERE / "go", env=here)
    return str(binary)


JARS = ":".join(f"/usr/share/java/{jar}.jar" for jar in ("postgresql", "gson"))


def java(program):
    """A client in Java, run from its source."""
    debian("libpostgresql-jdbc-java", "libgoogle-gson-java", *([] if shutil.which("javac") else ["default-jdk-headless"]))
    return ["java", "-cp", JARS, HERE / program]


def interpreted(interpreter, program, *packages):
    debian(*packages)
    return [interpreter, HERE / program]


CLIENTS = {
    "psql": lambda: [sys.executable, HERE / "psql.py"],
    "psycopg3": lambda: [python("psycopg[binary]"), HERE / "psycopg3.py"],
    "node_pg": lambda: [node("pg", "pg-cursor", "pg-copy-streams"), HERE / "node_pg.cjs"],
    "tokio_postgres": lambda: [cargo("client-tokio-postgres")],
    "psycopg2": lambda: [python("psycopg2-binary"), HERE / "psycopg2_.py"],
    "asyncpg": lambda: [python("asyncpg"), HERE / "asyncpg_.py"],
    "sqlalchemy": lambda: [python("psycopg[binary]", "sqlalchemy"), HERE / "sqlalchemy_.py"],
    "django": lambda: [python("psycopg[binary]", "django"), HERE / "django_.py"],
    "postgres_js": lambda: [node("postgres"), HERE / "postgres_js.cjs"],
    "sqlx": lambda: [orm("client-sqlx")],
    "diesel": lambda: [orm("client-diesel", "libpq-dev")],
    "alembic": lambda: [python("psycopg[binary]", "sqlalchemy", "alembic"), HERE / "alembic_.py"],
    "typeorm": lambda: [node("pg", "typeorm", "reflect-metadata"), HERE / "typeorm.cjs"],
    "go_pq": lambda: [go("pq", "golang-github-lib-pq-dev")],
    "go_pgx": lambda: [go("pgx", "golang-github-jackc-pgx-v4-dev")],
    "pgjdbc": lambda: java("Pgjdbc.java"),
    "tools": lambda: [python("psycopg[binary]"), HERE / "tools.py"],
    "active_record": lambda: interpreted("ruby", "active_record.rb", "ruby", "ruby-pg", "ruby-activerecord"),
    "ruby_pg": lambda: interpreted("ruby", "ruby_pg.rb", "ruby", "ruby-pg"),
    "perl_dbd": lambda: interpreted("perl", "perl_dbd.pl", "perl", "libdbd-pg-perl"),
    "php_pdo": lambda: interpreted("php", "php_pdo.php", "php-cli", "php-pgsql"),
}


def command(client):
    if client not in CLIENTS:
        raise SystemExit(f"there is no client {client}; known are {', '.join(CLIENTS)}")
    return [str(word) for word in CLIENTS[client]()]
