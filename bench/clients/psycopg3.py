"""psycopg 3: usage psycopg3.py URL SCRIPT"""
import sys
import threading
import time

import psycopg
from psycopg.types.enum import EnumInfo  # noqa: F401  (loads the enum support that people use)
from psycopg.types.json import Jsonb

import pyplay
from pyplay import diagnosis, native, rows_shown, type_shown


def placeholders(sql, params):
    """psycopg writes %s where PostgreSQL writes $1; a script uses each number once, in order, or again."""
    if not params:
        return sql, None
    named = {f"p{i}": convert(p) for i, p in enumerate(params, 1)}
    for i in range(len(params), 0, -1):
        sql = sql.replace(f"${i}", f"%(p{i})s")
    return sql, named


def convert(param):
    value = native(param)
    return Jsonb(value) if param["t"] == "jsonb" and value is not None else value


class Client:
    def __init__(self, url):
        self.url = url
        self.notices = []
        self.connection = psycopg.connect(url, autocommit=True)
        self.connection.add_notice_handler(lambda d: self.notices.append(diagnosis(d)))

    def take_notices(self):
        taken, self.notices = self.notices, []
        return taken

    def error(self, e):
        found = diagnosis(e.diag) if isinstance(e, psycopg.Error) else {}
        return found or {"class": type(e).__name__, "text": str(e)}

    def result(self, cursor):
        found = {"tag": cursor.statusmessage, "count": cursor.rowcount}
        if cursor.description:
            found["columns"] = [[c.name, type_shown(c.type_code)] for c in cursor.description]
            found["rows"] = rows_shown(cursor.fetchall())
        return found

    def query(self, step, prepare=None):
        sql, params = placeholders(step["sql"], step.get("params"))
        binary = step.get("params") is not None and len(step["sql"]) % 2 == 0
        with self.connection.cursor(binary=binary) as cursor:
            return self.result(cursor.execute(sql, params, prepare=prepare))

    def simple(self, step):
        with psycopg.ClientCursor(self.connection) as cursor:
            cursor.execute(step["sql"])
            results = [self.result(cursor)]
            while cursor.nextset():
                results.append(self.result(cursor))
            return {"results": results}

    def repeat(self, step):
        once = [dict(step, op="query", params=params) for params in step["params"]]
        outcomes = []
        for one in once:
            try:
                outcomes.append(self.query(one, prepare=True))
            except psycopg.Error as e:
                outcomes.append({"error": self.error(e)})
        return {"each": outcomes}

    def tx(self, step):
        inner = []
        try:
            with self.connection.transaction() as tx:
                for one in step["steps"]:
                    inner.append({one["name"]: pyplay.play_step(self, one)})
                if step["end"] == "rollback":
                    raise psycopg.Rollback(tx)
        except psycopg.Error as e:
            return {"steps": inner, "error": self.error(e)}
        return {"steps": inner, "status": self.connection.info.transaction_status.name}

    def cursor(self, step):
        batches = []
        with self.connection.transaction(), self.connection.cursor(name="batches") as cursor:
            cursor.execute(step["sql"])
            while rows := cursor.fetchmany(step["batch"]):
                batches.append(rows_shown(rows))
                if len(batches) == step.get("batches"):
                    break
        return {"batches": batches}

    def copy_in(self, step):
        with self.connection.cursor() as cursor:
            with cursor.copy(step["sql"]) as copy:
                for line in step["data"].splitlines(keepends=True):
                    copy.write(line)
            return {"tag": cursor.statusmessage}

    def copy_out(self, step):
        with self.connection.cursor() as cursor:
            with cursor.copy(step["sql"]) as copy:
                data = b"".join(bytes(block) for block in copy)
            return {"tag": cursor.statusmessage, "data": data.decode()}

    def pipeline(self, step):
        cursors, outcomes = [], []
        try:
            with self.connection.pipeline() as pipeline:
                for one in step["queries"]:
                    cursors.append(self.connection.cursor())
                    cursors[-1].execute(*placeholders(one["sql"], one["params"]))
                pipeline.sync()
                outcomes = [self.result(c) for c in cursors]
        except psycopg.Error as e:
            return {"each": outcomes, "error": self.error(e)}
        return {"each": outcomes}

    def notify(self, step):
        quoted = '"' + step["channel"] + '"'
        self.connection.execute(f"LISTEN {quoted}")
        with psycopg.connect(self.url, autocommit=True) as other:
            other.execute("SELECT pg_notify(%s, %s)", (step["channel"], step["payload"]))
        found = [[n.channel, n.payload] for n in self.connection.notifies(timeout=10, stop_after=1)]
        listening = self.connection.execute("SELECT * FROM pg_listening_channels()").fetchall()
        self.connection.execute(f"UNLISTEN {quoted}")
        return {"notifications": found, "listening": listening}

    def cancel(self, step):
        timer = threading.Timer(0.5, self.connection.cancel_safe)
        timer.start()
        started = time.monotonic()
        try:
            return self.query(step)
        except psycopg.Error as e:
            return {"error": self.error(e), "soon": time.monotonic() - started < 10}
        finally:
            timer.join()

    def connect(self, step):
        changes = {"password": step.get("password"), "dbname": step.get("database"), "options": step.get("options")}
        changes = {k: v for k, v in changes.items() if v is not None}
        try:
            with psycopg.connect(self.url, connect_timeout=10, **changes) as other:
                return {"rows": rows_shown(other.execute(step.get("sql", "SELECT 1")).fetchall())}
        except psycopg.OperationalError as e:
            return {"error": str(e).split("FATAL:")[-1].strip()}


if __name__ == "__main__":
    pyplay.play(Client(sys.argv[1]), sys.argv[2])
