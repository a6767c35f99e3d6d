"""What the Python clients share: reading the script, values as JSON, the play itself.

A client is a class with one method for each kind of step (`query`, `simple`, `repeat`, `copy_in` …) that returns an
outcome or raises the driver's own error; `error(exception)` turns that into an outcome. A step whose method is missing
is reported as "not in this client", in both transcripts alike.
"""
import datetime
import decimal
import hashlib
import json
import sys
import uuid

LONG = 2000  # characters; longer values are shown by length and digest
OWN_OIDS = 16384  # from here on oids are the installation's own


def steps(path):
    return [json.loads(line) for line in open(path, encoding="utf-8") if line.strip()]


def text_of(param):
    """The text of a parameter that is given as a repetition."""
    part, times = param["repeat"]
    return part * times


def native(param):
    """A parameter's value in Python's own types, those that people pass to a driver."""
    if "repeat" in param:
        return text_of(param)
    value, kind = param["v"], param["t"]
    if value is None:
        return None
    convert = {
        "int8": int, "numeric": decimal.Decimal, "date": datetime.date.fromisoformat,
        "timestamptz": datetime.datetime.fromisoformat, "uuid": uuid.UUID, "bytea": bytes.fromhex,
    }.get(kind)
    return convert(value) if convert else value


def shown(value):
    """A value as JSON: what it is and of which type, short."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [shown(v) for v in value]
    if isinstance(value, dict):
        return {k: shown(v) for k, v in value.items()}
    if isinstance(value, memoryview):
        value = bytes(value)
    text = value if isinstance(value, str) else f"{type(value).__name__} {value!r}"
    if len(text) > LONG:
        return f"{len(text)} characters, {hashlib.sha256(text.encode()).hexdigest()}"
    return text


def rows_shown(rows):
    rows = [shown(list(r)) for r in rows]
    if len(rows) > 200:
        return {"rows": len(rows), "digest": hashlib.sha256(json.dumps(rows).encode()).hexdigest()}
    return rows


def type_shown(oid):
    return oid if oid < OWN_OIDS else "own"


ERROR_FIELDS = ["severity", "severity_nonlocalized", "sqlstate", "message_primary", "message_detail", "message_hint", "statement_position",
                "internal_position", "internal_query", "context", "schema_name", "table_name", "column_name",
                "datatype_name", "constraint_name"]


def diagnosis(diag):
    """libpq's error or notice fields that are set."""
    found = {field: getattr(diag, field, None) for field in ERROR_FIELDS}
    return {k: v for k, v in found.items() if v is not None}


def play(client, script, out=sys.stdout):
    """Plays every step and writes a line for each."""
    for step in steps(script):
        outcome = play_step(client, step)
        notices = client.take_notices()
        if notices:
            outcome["notices"] = notices
        json.dump({"step": step["name"], "outcome": outcome}, out, ensure_ascii=False)
        out.write("\n")
        out.flush()


def play_step(client, step):
    method = getattr(client, step["op"], None)
    if method is None:
        return {"skipped": "not in this client"}
    try:
        return method(step)
    except Exception as e:  # any error of the driver is an outcome to be compared
        return {"error": client.error(e)}
