"""Alerts and dashboards may name only metrics that the proxy has; every alert needs its runbook.

    python3 infra/monitoring/names.py [FILE]    FILE: what /metrics answered; otherwise the names in the sources
"""
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
NAME = re.compile(r"\bpalisade_[a-z_]+\b")


def known() -> set[str]:
    if len(sys.argv) > 1:
        return set(re.findall(r"^# TYPE (palisade_[a-z_]+) ", pathlib.Path(sys.argv[1]).read_text(), re.M))
    return set(re.findall(r'"(palisade_[a-z_]+)"', (ROOT / "proxy/src/metrics.rs").read_text()))


def used() -> dict[str, set[str]]:
    alerts = (HERE / "alerts.yml").read_text()
    found = {"alerts.yml": set(NAME.findall(alerts))}
    for file in sorted((HERE / "grafana/dashboards").glob("*.json")):
        panels = json.loads(file.read_text())["panels"]
        found[file.name] = {n for p in panels for t in p["targets"] for n in NAME.findall(t["expr"])}
    return found


def main() -> int:
    have = known()
    faults = [] if have else ["no metric is known"]
    for file, names in used().items():
        if not names:
            faults.append(f"{file} names no metric")
        faults += [f"{file}: {n} does not exist" for n in sorted(names - have)]
    runbooks = (ROOT / "docs/guide/src/runbooks.md").read_text()
    alerts = re.findall(r"- alert: (\w+)", (HERE / "alerts.yml").read_text())
    faults += [f"{a} has no runbook" for a in alerts if f"\n## {a}\n" not in runbooks]
    print("\n".join(faults) or f"{len(have)} metrics, {len(alerts)} alerts: all names are right")
    return 1 if faults else 0


sys.exit(main())
