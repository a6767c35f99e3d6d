"""Alerts, dashboards and docs may name only metrics that the planes have, docs/metrics.md names all; every alert needs its
runbook.

    python3 infra/monitoring/names.py [FILE…]    FILE: what /metrics of each plane answered; otherwise the sources
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAME = re.compile(r"\bpalisade_[a-z_]+\b")
# What a histogram is asked by, beside its own name.
PARTS = re.compile(r"_(bucket|sum|count)$")
# SQLSTATE classes are not known beforehand: there is none before the first error.
UNSEEN = {"palisade_errors_total"}


def known() -> set[str]:
    if len(sys.argv) > 1:
        answers = "\n".join(pathlib.Path(file).read_text() for file in sys.argv[1:])
        return set(re.findall(r"^# TYPE (palisade_[a-z_]+) ", answers, re.M)) - UNSEEN
    files = [*ROOT.glob("*/src/metrics.rs"), *ROOT.glob("*/src/metrics/*.rs")]
    return {PARTS.sub("", name) for file in files for name in re.findall(r'"(palisade_[a-z_]+)"', file.read_text())} - UNSEEN


def used() -> dict[str, set[str]]:
    alerts = (HERE / "alerts.yml").read_text()
    found = {"alerts.yml": set(NAME.findall(alerts))}
    for file in sorted((HERE / "grafana/dashboards").glob("*.json")):
        panels = json.loads(file.read_text())["panels"]
        found[file.name] = {n for p in panels for t in p["targets"] for n in NAME.findall(t["expr"])}
    docs = (ROOT / "docs/metrics.md").read_text()
    found["docs/metrics.md"] = set(re.findall(r"^\| `(palisade_[a-z_]+)`", docs, re.M))
    return found


def main() -> int:
    have = known()
    faults = [] if have else ["no metric is known"]
    for file, names in used().items():
        if not names:
            faults.append(f"{file} names no metric")
        faults += [f"{file}: {n} does not exist" for n in sorted(names - UNSEEN) if n not in have and PARTS.sub("", n) not in have]
    faults += [f"docs/metrics.md does not name {n}" for n in sorted(have - used()["docs/metrics.md"])]
    runbooks = (ROOT / "docs/guide/src/runbooks.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", (HERE / "alerts.yml").read_text())
    faults += [f"{a} has no runbook" for a in alerts if f"\n## {a}\n" not in runbooks]
    print("\n".join(faults) or f"{len(have)} metrics, {len(alerts)} alerts: all names are right")
    return 1 if faults else 0


sys.exit(main())
