"""psql: usage psql.py URL SCRIPT

Plays the script by psql, statement by statement as a person would, then psql.sql: its own commands (\\d, \\copy,
\\gset …). Parameters are put in as quoted literals by psql's own variables, since psql has no others.
"""
import json
import re
import subprocess
import sys
import threading
import time

import install
import pyplay

MARK = "@@step "
KINDS = {"query", "simple", "repeat", "tx", "copy_in", "copy_out", "pipeline"}
PSQL = [install.postgres_tool("psql"), "-X", "--no-password", "-v", "VERBOSITY=verbose", "-P", "null=(null)", "-P", "pager=off"]


def literal(param):
    """A parameter as a literal of its type."""
    if "repeat" in param:
        part, times = param["repeat"]
        return f"repeat('{part}', {times})"
    value, kind = param["v"], param["t"]
    if value is None:
        return f"NULL::{kind}"
    if kind == "bytea":
        value = "\\x" + value
    elif kind == "jsonb":
        value = json.dumps(value)
    elif kind.endswith("[]"):
        value = "{" + ",".join('"' + str(v).replace("\\", "\\\\").replace('"', '\\"') + '"' for v in value) + "}"
    return "'" + str(value).replace("'", "''") + f"'::{kind}"


def filled(sql, params):
    return re.sub(r"\$(\d+)", lambda found: literal(params[int(found[1]) - 1]), sql) if params else sql


def text_of(step, depth=0):
    """A step as psql's input."""
    op = step["op"]
    if op in ("query", "simple"):
        return filled(step["sql"], step.get("params")) + "\n;\n"
    if op == "repeat":
        return "".join(filled(step["sql"], params) + ";\n" for params in step["params"])
    if op == "pipeline":
        return "".join(filled(q["sql"], q["params"]) + ";\n" for q in step["queries"])
    if op == "copy_in":
        return step["sql"] + ";\n" + step["data"] + "\\.\n"
    if op == "copy_out":
        return step["sql"] + ";\n"
    inside = "".join(text_of(s, depth + 1) for s in step["steps"])
    if depth == 0:
        return f"BEGIN;\n{inside}{step['end'].upper()};\n"
    return f"SAVEPOINT s{depth};\n{inside}" + (f"RELEASE s{depth};\n" if step["end"] == "commit" else f"ROLLBACK TO s{depth};\n")


def script_of(steps):
    """The whole session: before each step its name on standard output and standard error."""
    parts = []
    for step in steps:
        if step["op"] in KINDS:
            parts.append(f"\\echo {MARK}{step['name']}\n\\warn {MARK}{step['name']}\n{text_of(step)}")
    return "".join(parts)


def sections(text):
    found, name = {}, None
    for line in text.splitlines():
        if line.startswith(MARK):
            name = line[len(MARK):]
            found[name] = []
        elif name is not None:
            found[name].append(line if len(line) < pyplay.LONG else pyplay.shown(line))
    return found


def run(url, text, *options):
    done = subprocess.run([*PSQL, *options, url], input=text, capture_output=True, text=True, timeout=200)
    # LOCATION names a line of PostgreSQL's source; what the proxy itself refuses comes from no such line.
    errors = re.sub(r"^LOCATION: .*\n", "", done.stderr, flags=re.M)
    out = re.sub(r"received from server process with PID \d+", "received from server process with PID (some)", done.stdout)
    return sections(out), sections(errors)


def emit(name, outcome):
    print(json.dumps({"step": name, "outcome": outcome}, ensure_ascii=False), flush=True)


def play_text(url, text, prefix="", options=()):
    out, errors = run(url, text, *options)
    for name in out:
        lines = out[name]
        if len(lines) > 400:
            lines = [pyplay.shown("\n".join(lines))]
        emit(prefix + name, {"out": lines, "errors": errors.get(name, [])})


def cancel(url):
    """Interrupts a running statement as Ctrl-C does."""
    process = subprocess.Popen([*PSQL, url, "-c", "SELECT pg_sleep(30)", "-c", "SELECT 'alive'"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    threading.Timer(1.5, lambda: process.send_signal(2)).start()
    started = time.monotonic()
    out, errors = process.communicate(timeout=60)
    emit("cancel", {"out": out, "errors": errors, "soon": time.monotonic() - started < 15})


def main(url, script):
    steps = pyplay.steps(script)
    play_text(url, script_of(steps))
    own = install.HERE / "psql.sql"
    play_text(url, own.read_text(), "psql: ")
    play_text(url, f"\\echo {MARK}unaligned\nSELECT * FROM open_orders; SELECT 1/0; SELECT 2;\n", "", ("-A", "-t", "-1"))
    cancel(url)


if __name__ == "__main__":
    main(*sys.argv[1:3])
