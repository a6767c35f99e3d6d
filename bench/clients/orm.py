"""What ORMs do beside SQL of their own: create, introspect, write, read, fail. Each ORM's client implements `Work`;
the steps' names are the same, the outcomes each ORM's own."""
import json
import sys

import pyplay


def emit(name, outcome):
    json.dump({"step": name, "outcome": outcome}, sys.stdout, ensure_ascii=False, default=pyplay.shown)
    sys.stdout.write("\n")
    sys.stdout.flush()


def play(work, error):
    """Calls every method of `work` that does not begin with an underscore, in the order of their definition."""
    for name in [n for n in vars(type(work)) if not n.startswith("_")]:
        try:
            outcome = pyplay.shown(getattr(work, name)())
        except Exception as e:  # an ORM's error is an outcome to be compared
            outcome = {"error": error(e)}
        emit(name.replace("_", " "), outcome)
