"""psycopg2: usage psycopg2_.py URL SCRIPT"""
import io
import select
import sys
import threading

import psycopg2
from psycopg2.extras import Json, register_uuid

import pyplay
from pyplay import diagnosis, native, rows_shown, type_shown

register_uuid()


def placeholders(sql, params):
    if not params:
        return sql, None
    named = {f"p{i}": Json(native(p)) if p["t"] == "jsonb" and p["v"] is not None else native(p) for i, p in enumerate(params, 1)}
    casts = {i: f"::{p['t']}" for i, p in enumerate(params, 1) if "v" in p}
    sql = sql.replace("%", "%%")
    for i in range(len(params), 0, -1):
        sql = sql.replace(f"${i}", f"%(p{i})s{casts.get(i, '')}")
    return sql, named


class Client:
    def __init__(self, url):
        self.url = url
        self.connection = psycopg2.connect(url)
        self.connection.autocommit = True

    def take_notices(self):
        taken, self.connection.notices[:] = list(self.connection.notices), []
        return taken

    def error(self, e):
        found = diagnosis(e.diag) if isinstance(e, psycopg2.Error) else {}
        return {**found, "class": type(e).__name__, "code": getattr(e, "pgcode", None)} if found else {"class": type(e).__name__, "text": str(e)}

    def result(self, cursor):
        found = {"tag": cursor.statusmessage, "count": cursor.rowcount}
        if cursor.description:
            found["columns"] = [[c.name, type_shown(c.type_code)] for c in cursor.description]
            found["rows"] = rows_shown(cursor.fetchall())
        return found

    def query(self, step):
        with self.connection.cursor() as cursor:
            cursor.execute(*placeholders(step["sql"], step.get("params")))
            return self.result(cursor)

    simple = query

    def repeat(self, step):
        return {"each": [pyplay.play_step(self, {"op": "query", "sql": step["sql"], "params": p}) for p in step["params"]]}

    def tx(self, step, depth=0):
        inner = []
        if depth:
            self.query({"sql": f"SAVEPOINT s{depth}"})
        else:
            self.connection.autocommit = False
        try:
            for one in step["steps"]:
                inner.append({one["name"]: self.tx(one, depth + 1) if one["op"] == "tx" else pyplay.play_step(self, one)})
            if depth:
                self.query({"sql": f"{'RELEASE' if step['end'] == 'commit' else 'ROLLBACK TO'} s{depth}"})
            else:
                getattr(self.connection, step["end"])()
        except psycopg2.Error as e:
            return {"steps": inner, "error": self.error(e)}
        finally:
            if not depth:
                self.connection.rollback()
                self.connection.autocommit = True
        return {"steps": inner}

    def cursor(self, step):
        self.connection.autocommit = False
        batches = []
        with self.connection, self.connection.cursor(name="batches") as cursor:
            cursor.execute(step["sql"])
            while rows := cursor.fetchmany(step["batch"]):
                batches.append(rows_shown(rows))
                if len(batches) == step.get("batches"):
                    break
        self.connection.autocommit = True
        return {"batches": batches}

    def copy_in(self, step):
        with self.connection.cursor() as cursor:
            cursor.copy_expert(step["sql"], io.StringIO(step["data"]))
            return {"count": cursor.rowcount}

    def copy_out(self, step):
        out = io.StringIO()
        with self.connection.cursor() as cursor:
            cursor.copy_expert(step["sql"], out)
        return {"data": out.getvalue()}

    def notify(self, step):
        self.query({"sql": f'LISTEN "{step["channel"]}"'})
        other = psycopg2.connect(self.url)
        other.autocommit = True
        with other.cursor() as cursor:
            cursor.execute("SELECT pg_notify(%s, %s)", (step["channel"], step["payload"]))
        other.close()
        select.select([self.connection], [], [], 5)
        self.connection.poll()
        found = [[n.channel, n.payload] for n in self.connection.notifies]
        self.connection.notifies.clear()
        self.query({"sql": f'UNLISTEN "{step["channel"]}"'})
        return {"notifications": found}

    def cancel(self, step):
        timer = threading.Timer(0.5, self.connection.cancel)
        timer.start()
        try:
            return pyplay.play_step(self, {**step, "op": "query"})
        finally:
            timer.join()


if __name__ == "__main__":
    pyplay.play(Client(sys.argv[1]), sys.argv[2])
