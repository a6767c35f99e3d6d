"""Graphical tools and drivers that cannot be had here: usage tools.py URL SCRIPT (the script is not played)

Asks the catalogs what such a tool asks when it connects, opens a schema and opens a table (tools.sql: the same catalogs,
columns, joins and functions, in words of our own), then lets psql complete words at a terminal.
"""
import os
import pty
import re
import select
import sys

import psycopg

import install
import orm
import pyplay

OBJECTS = """
CREATE TYPE tool_mood AS ENUM ('calm', 'cross');
CREATE DOMAIN tool_share AS numeric(5, 2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE TYPE tool_pair AS (a int, b tool_mood);
CREATE TABLE tool_team (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL UNIQUE, mood tool_mood DEFAULT 'calm', pairs tool_pair[]);
CREATE TABLE tool_member (id bigserial PRIMARY KEY, team_id int NOT NULL REFERENCES tool_team ON DELETE CASCADE, part tool_share,
  whole int GENERATED ALWAYS AS (team_id * 2) STORED, EXCLUDE USING gist (int4range(team_id, team_id, '[]') WITH &&));
CREATE INDEX tool_by_part ON tool_member ((part + 1)) WHERE part > 3;
CREATE TABLE tool_log (at date NOT NULL, text text) PARTITION BY RANGE (at);
CREATE TABLE tool_log_1 PARTITION OF tool_log FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
CREATE VIEW tool_view AS SELECT m.id, t.name FROM tool_member m JOIN tool_team t ON t.id = m.team_id;
CREATE MATERIALIZED VIEW tool_matview AS SELECT count(*) AS n FROM tool_team;
CREATE FUNCTION tool_fun(a int, b text DEFAULT 'x', OUT c int) LANGUAGE sql AS $$SELECT a$$;
CREATE PROCEDURE tool_proc(a int) LANGUAGE plpgsql AS $$BEGIN NULL; END$$;
CREATE FUNCTION tool_trig() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NEW; END$$;
CREATE TRIGGER tool_trg BEFORE INSERT OR UPDATE ON tool_team FOR EACH ROW WHEN (NEW.id > 1) EXECUTE FUNCTION tool_trig();
CREATE RULE tool_rule AS ON DELETE TO tool_member DO INSTEAD NOTHING;
COMMENT ON TABLE tool_team IS 'a team'; COMMENT ON COLUMN tool_team.mood IS 'how it is'; COMMENT ON FUNCTION tool_trig() IS 'nothing';
INSERT INTO tool_team (name) VALUES ('one'), ('two'); ANALYZE tool_team;
"""
DROPPED = "DROP VIEW tool_view; DROP MATERIALIZED VIEW tool_matview; DROP TABLE tool_member, tool_team, tool_log; DROP FUNCTION tool_fun, tool_trig; DROP PROCEDURE tool_proc; DROP TYPE tool_pair; DROP DOMAIN tool_share; DROP TYPE tool_mood"

# What is typed at psql's prompt before the tabulator key is pressed twice.
TYPED = ["SELECT * FROM tool_t", "SELECT * FROM tool_", "SELECT na", "UPDATE tool_team SET mo", "INSERT INTO tool_", "DROP TABLE tool_", "DROP FUNCTION tool_", "ALTER TABLE tool_team DROP COLUMN ",
         "ALTER TYPE tool_", "\\d tool_", "\\dt tool_", "\\df tool_", "SELECT tool_f", "SELECT * FROM pub", "SELECT * FROM public.tool_t", "GRANT SELECT ON tool_team TO ", "SET ROLE ", "SET search_path TO ",
         "CALL tool_", "REFRESH MATERIALIZED VIEW tool_", "DROP TRIGGER tool_", "DROP RULE tool_", "COMMENT ON TABLE tool_", "SET timez", "SHOW ser", "SELECT * FROM pg_sta"]


def asked():
    """Name and text of each question of tools.sql."""
    parts = re.split(r"^-- (.+)\n", (install.HERE / "tools.sql").read_text(), flags=re.M)[1:]
    return list(zip(parts[::2], parts[1::2]))


def shown(cursor):
    if cursor.description is None:
        return cursor.statusmessage
    columns = [(c.name, pyplay.type_shown(c.type_code)) for c in cursor.description]
    return {"columns": columns, "rows": pyplay.rows_shown(cursor.fetchall())}


def ask(connection, sql):
    try:
        return shown(connection.execute(sql))
    except psycopg.Error as e:
        return {"error": pyplay.diagnosis(e.diag)}


def questions(url):
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(OBJECTS)
        for name, sql in asked():
            orm.emit(name, ask(connection, sql))
        completions(url)
        connection.execute(DROPPED)


def read_until(terminal, mark):
    """What a terminal says until a line begins with a mark."""
    said = ""
    while f"\n{mark}" not in said and select.select([terminal], [], [], 60)[0]:
        more = os.read(terminal, 65536)
        if not more:
            break
        said += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]|[\x07\x08\r]", "", more.decode("utf8", "replace"))
    return said


def completions(url):
    """Each text completed by psql: the words that it offers, or what it makes of the text."""
    keys = install.cache() / "inputrc"
    keys.write_text("set completion-query-items 1000\nset page-completions off\nset enable-bracketed-paste off\n")
    child, terminal = pty.fork()
    if child == 0:
        environment = {**os.environ, "TERM": "dumb", "INPUTRC": str(keys), "PSQL_HISTORY": "/dev/null", "COLUMNS": "200"}
        os.execvpe(install.postgres_tool("psql"), ["psql", "-X", "-q", "-P", "pager=off", "-v", "PROMPT1=> ", url], environment)
    os.write(terminal, b"\\echo ready\n")
    read_until(terminal, "ready")
    for number, typed in enumerate(TYPED):
        # The line is taken back, then psql says a word by which its answer is known to be whole.
        os.write(terminal, f"{typed}\t\t\x15\\echo done{number}\n".encode())
        said = read_until(terminal, f"done{number}").split(f"\\echo done{number}")[0]
        orm.emit(f"completed: {typed}", sorted(set(said.split()) - {">"}))
    os.write(terminal, b"\\q\n")
    os.waitpid(child, 0)
    os.close(terminal)


if __name__ == "__main__":
    questions(sys.argv[1])
