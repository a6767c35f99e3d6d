#!/usr/bin/env python3
"""Collects SQL texts from a throw-away PostgreSQL that logs every statement. See run.sh."""
import json
import os
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "clients"))
import install  # noqa: E402
import matrix  # noqa: E402

PORT = int(os.environ.get("PALISADE_DIFFERENTIAL_PORT", "54329"))
CLIENTS = ["psycopg3", "psycopg2", "asyncpg", "sqlalchemy", "alembic", "django", "node_pg", "postgres_js", "typeorm",
           "sqlx", "diesel", "tokio_postgres", "go_pq", "go_pgx", "pgjdbc", "ruby_pg", "perl_dbd", "php_pdo"]
FILE_LIMIT = 120  # seconds that one file of the suite may take
BACKSLASH = r"\l \du \dn+ \dt+ \dv+ \di+ \ds+ \dm+ \df+ \da \dT+ \dD+ \dC \do \dO \dc \dx \dy \dF \dp \ddp \dL \dconfig \dP+ \dX \sv orders_of \d".split()
LOGGED = re.compile(r"(?:statement|execute [^:]*): (.*)", re.S)


def unprivileged(command):
    """The same command as a user under which PostgreSQL runs."""
    return ["runuser", "-u", "postgres", "--", *command] if os.geteuid() == 0 else command


class Server:
    """A PostgreSQL of our own, with nothing in it that lasts."""

    def __init__(self, folder):
        self.data = folder / "pg"
        self.programs = Path(install.postgres_tool("pg_ctl")).resolve().parent
        self.url = f"postgres://postgres@127.0.0.1:{PORT}/postgres"

    def run(self, program, *words, **more):
        return subprocess.run(unprivileged([str(self.programs / program), *map(str, words)]), check=True, capture_output=True, text=True, cwd="/", **more)

    def __enter__(self):
        shutil.rmtree(self.data, ignore_errors=True)
        self.data.mkdir(parents=True)
        if os.geteuid() == 0:
            shutil.chown(self.data, "postgres", "postgres")
        self.run("initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale", "C", "-N")
        settings = {"port": PORT, "listen_addresses": "127.0.0.1", "unix_socket_directories": "", "fsync": "off", "logging_collector": "on",
                    "log_destination": "jsonlog", "log_directory": "log", "log_filename": "texts.log", "log_rotation_size": 0, "log_rotation_age": 0,
                    "log_statement": "all", "log_min_messages": "log", "max_connections": 60, "max_prepared_transactions": 2}
        with open(self.data / "postgresql.conf", "a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())
        # Output to files: a server that holds the pipe would keep this waiting.
        with open(self.data.parent / "start.log", "w") as log:
            subprocess.run(unprivileged([str(self.programs / "pg_ctl"), "-D", str(self.data), "-w", "-l", "/dev/null", "start"]), check=True, stdout=log, stderr=log, cwd="/")
        return self

    def __exit__(self, *_):
        self.run("pg_ctl", "-D", self.data, "-m", "immediate", "stop")

    def texts(self):
        """(database, application, text) of every statement that PostgreSQL's parser has read."""
        for line in (self.data / "log/texts.json").read_text(errors="surrogateescape").splitlines():
            entry = json.loads(line)
            found = LOGGED.fullmatch(entry.get("message", "")) if entry.get("error_severity") == "LOG" else None
            if found:
                yield entry.get("dbname", ""), entry.get("application_name", ""), found.group(1)


def source(folder):
    """The regression suite of Debian's source package of the server."""
    suite = next(folder.glob("source/*/src/test/regress"), None)
    if suite:
        return suite
    lists = folder / "apt"
    (lists / "lists/partial").mkdir(parents=True, exist_ok=True)
    release = dict(re.findall(r'^(\w+)="?([^"\n]*)"?$', Path("/etc/os-release").read_text(), re.M))
    (lists / "sources.list").write_text(f"deb-src http://deb.debian.org/debian {release['VERSION_CODENAME']} main\n")
    options = [f"-oDir::Etc::sourcelist={lists}/sources.list", "-oDir::Etc::sourceparts=-", f"-oDir::State::lists={lists}/lists"]
    major = re.search(r"/(\d+)/", str(Path(install.postgres_tool("pg_ctl")).resolve())).group(1)
    for words in (["update", "-qq"], ["source", "-qq", "--download-only", f"postgresql-{major}"]):
        subprocess.run(["apt-get", *options, *words], check=True, cwd=lists, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (folder / "source").mkdir(exist_ok=True)
    subprocess.run(["tar", "xf", str(next(lists.glob("*.orig.tar.*"))), "-C", str(folder / "source"), "--wildcards", "*/src/test/regress/*"], check=True)
    return next(folder.glob("source/*/src/test/regress"))


def regress(server, folder):
    """Every file of the suite in the order of its schedule. Files that fail are no matter: their texts are logged."""
    suite = source(folder)
    listed = [name for line in (suite / "parallel_schedule").read_text().splitlines() if line.startswith("test:") for name in line[5:].split()]
    matrix.admin_sql(server.url, "CREATE DATABASE regression TEMPLATE template0;")
    environment = {**os.environ, "PG_ABS_SRCDIR": str(suite), "PG_ABS_BUILDDIR": str(suite), "PG_LIBDIR": str(suite), "PG_DLSUFFIX": ".so",
                   "PGTZ": "PST8PDT", "PGDATESTYLE": "Postgres, MDY", "PGAPPNAME": "regress"}
    for name in listed:
        file = suite / "sql" / f"{name}.sql"
        if not file.exists():
            continue
        try:
            subprocess.run([install.postgres_tool("psql"), with_database(server, "regression"), "-X", "-q", "-f", str(file)], env=environment,
                           timeout=FILE_LIMIT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            print(f"  {name}: nothing after {FILE_LIMIT} s")


def with_database(server, name):
    return matrix.with_parts(server.url, password="none", database=name)


def psql(url, **more):
    return subprocess.run([install.postgres_tool("psql"), url, "-X", "-q"], text=True, capture_output=True, **more)


def dump(server, _):
    """pg_dump's own questions, and what a restore of its output sends."""
    databases = psql(server.url, input="COPY (SELECT datname FROM pg_database) TO STDOUT").stdout.split()
    with matrix.Direct({"PALISADE_DATABASE_URL": with_database(server, "postgres")}, "tenant") as tenant:
        psql(tenant.url, input="\n".join(BACKSLASH) + "\n\\d+ *\n", env={**os.environ, "PGAPPNAME": "psql"})
        for name in [tenant.name, *(name for name in databases if name == "regression")]:
            dumped = subprocess.run([install.postgres_tool("pg_dump"), with_database(server, name)], text=True, capture_output=True)
            restored = f"restored_{name}"
            matrix.admin_sql(server.url, f"CREATE DATABASE {restored} TEMPLATE template0;")
            psql(with_database(server, restored), input=dumped.stdout)
            matrix.admin_sql(server.url, f"DROP DATABASE {restored} WITH (FORCE);")


def clients(server, folder):
    """The script of bench/clients, direct."""
    os.environ.setdefault("PALISADE_CLIENTS_CACHE", str(folder.parent / "clients"))
    logs = folder / "clients"
    logs.mkdir(exist_ok=True)
    for client in os.environ.get("PALISADE_DIFFERENTIAL_CLIENTS", " ".join(CLIENTS)).split():
        try:
            command = install.command(client)
            with matrix.Direct({"PALISADE_DATABASE_URL": with_database(server, "postgres")}, client) as target:
                _, failed = matrix.play(command, target, logs / f"{client}.jsonl")
            print(f"  {client}: {failed or 'done'}", flush=True)
        except (subprocess.CalledProcessError, SystemExit) as error:
            print(f"  {client}: left out: {(getattr(error, 'stderr', None) or str(error)).strip()[-300:]}", flush=True)


def corpus(database, application):
    """Which corpus a statement belongs to; nothing for what this script does itself."""
    if application == "pg_dump":
        return "pg_dump's questions"
    if database.startswith("restored_"):
        return "restore of the suite" if database == "restored_regression" else "restore of a tenant"
    if database == "regression" or application == "regress" or database.startswith("regress"):
        return "PostgreSQL's regression suite"
    if application == "psql" and "tenant" in database:
        return "psql's \\d"
    client = re.fullmatch(r"direct_(.+)_\d+", database)
    return client and client.group(1) != "tenant" and client.group(1) or None


def main(arguments):
    folder = Path(arguments[0]).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    parts = {"regress": regress, "dump": dump, "clients": clients}
    wanted = arguments[1:] or list(parts)
    started = time.monotonic()
    with Server(folder) as server:
        for name in wanted:
            print(f"{name} …", flush=True)
            parts[name](server, folder)
        seen = {(found, text) for database, application, text in server.texts() if (found := corpus(database, application))}
    for old in folder.glob("*.texts.jsonl"):
        old.unlink()
    with open(folder / "all.texts.jsonl", "w") as out:
        for name, text in sorted(seen):
            # What is not UTF-8 never reaches a reader.
            if text == text.encode(errors="replace").decode():
                out.write(json.dumps({"corpus": name, "text": text}) + "\n")
    print(f"{len(seen)} texts in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(sys.argv[1:])
