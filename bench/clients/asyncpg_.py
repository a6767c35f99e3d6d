"""asyncpg: usage asyncpg_.py URL SCRIPT"""
import asyncio
import io
import json
import sys

import asyncpg

import pyplay
from pyplay import native, rows_shown

FIELDS = ["severity", "sqlstate", "message", "detail", "hint", "position", "internal_query", "context", "schema_name", "table_name",
          "column_name", "data_type_name", "constraint_name"]


def value_of(param):
    value = native(param)
    return json.dumps(value) if param["t"] == "jsonb" and value is not None else value


def fields(source):
    return {f: str(getattr(source, f)) for f in FIELDS if getattr(source, f, None) is not None}


class Client:
    def __init__(self, url):
        self.url = url
        self.loop = asyncio.new_event_loop()
        self.notices, self.heard = [], []
        self.connection = self.run(asyncpg.connect(url))
        self.connection.add_log_listener(lambda _, message: self.notices.append(fields(message)))

    def run(self, coroutine):
        return self.loop.run_until_complete(coroutine)

    def take_notices(self):
        taken, self.notices = self.notices, []
        return taken

    def error(self, e):
        return {"class": type(e).__name__, **(fields(e) or {"text": str(e)})}

    def query(self, step):
        return self.run(self.fetch(step["sql"], [value_of(p) for p in step.get("params") or []]))

    async def fetch(self, sql, values):
        statement = await self.connection.prepare(sql)
        rows = await statement.fetch(*values)
        return {"takes": [t.name for t in statement.get_parameters()], "columns": [[a.name, a.type.name] for a in statement.get_attributes()],
                "rows": rows_shown(rows), "tag": statement.get_statusmsg()}

    def simple(self, step):
        return {"tag": self.run(self.connection.execute(step["sql"]))}

    def repeat(self, step):
        """By the driver's own cache of statements."""
        each = []
        for params in step["params"]:
            try:
                each.append(rows_shown(self.run(self.connection.fetch(step["sql"], *map(value_of, params)))))
            except asyncpg.PostgresError as e:
                each.append({"error": self.error(e)})
        return {"each": each}

    def tx(self, step):
        inner = []
        transaction = self.connection.transaction()
        self.run(transaction.start())
        for one in step["steps"]:
            inner.append({one["name"]: pyplay.play_step(self, one)})
        try:
            self.run(getattr(transaction, step["end"])())
        except asyncpg.PostgresError as e:
            return {"steps": inner, "error": self.error(e)}
        return {"steps": inner}

    def cursor(self, step):
        async def batches():
            found = []
            async with self.connection.transaction():
                cursor = await self.connection.cursor(step["sql"])
                while rows := await cursor.fetch(step["batch"]):
                    found.append(rows_shown(rows))
                    if len(found) == step.get("batches"):
                        break
            return {"batches": found}
        return self.run(batches())

    def copy_in(self, step):
        """asyncpg writes COPY itself: the table and columns of the script's statement."""
        table, _, rest = step["sql"].removeprefix("COPY ").partition(" (")
        schema, _, name = table.rpartition(".")
        header = "HEADER" in step["sql"]
        more = {"format": "csv", "header": True} if header else {}
        columns = [c.strip() for c in rest.split(")")[0].split(",")]
        return {"tag": self.run(self.connection.copy_to_table(name, schema_name=schema or None, columns=columns, source=io.BytesIO(step["data"].encode()), **more))}

    def copy_out(self, step):
        query = step["sql"].removeprefix("COPY ").rsplit(" TO STDOUT", 1)[0]
        query = query[1:-1] if query.startswith("(") else f"TABLE {query}"
        out = io.BytesIO()
        tag = self.run(self.connection.copy_from_query(query, output=out))
        return {"tag": tag, "data": out.getvalue().decode()}

    def notify(self, step):
        async def hear():
            heard = asyncio.Queue()
            def listener(_connection, _pid, channel, payload):
                heard.put_nowait([channel, payload])
            await self.connection.add_listener(step["channel"], listener)
            other = await asyncpg.connect(self.url)
            await other.execute("SELECT pg_notify($1, $2)", step["channel"], step["payload"])
            await other.close()
            try:
                return await asyncio.wait_for(heard.get(), 5)
            except TimeoutError:
                return "nothing was heard"
            finally:
                await self.connection.remove_listener(step["channel"], listener)
        return {"notification": self.run(hear())}

    def cancel(self, step):
        """asyncpg cancels a statement when its time is over."""
        return {"rows": rows_shown(self.run(self.connection.fetch(step["sql"], timeout=0.5)))}


if __name__ == "__main__":
    pyplay.play(Client(sys.argv[1]), sys.argv[2])
