#!/usr/bin/env python3
"""Measures direct, PgBouncer and Palisade in one interleaved run. See run.sh."""
import argparse
import datetime
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import time
from pathlib import Path

import idle
import measure
import report
from targets import ROOT, Targets

ORDER = ["direct", "pgbouncer", "palisade"]


def arguments():
    p = argparse.ArgumentParser(prog="bench/speed/run.sh", description=__doc__)
    p.add_argument("--short", action="store_true", help="a look of three minutes: one round, 16 clients, four workloads, nothing written but to the work folder")
    p.add_argument("--seconds", type=int, default=5, help="length of one run (5)")
    p.add_argument("--rounds", type=int, default=3, help="runs of each cell; the median counts (3)")
    p.add_argument("--clients", default="1,16,64,256", help="numbers of clients (1,16,64,256)")
    p.add_argument("--workloads", default=",".join(measure.WORKLOADS), help="which workloads (all)")
    p.add_argument("--idle-clients", type=int, default=2000, help="idle clients for the memory figure; 0 leaves it out (2000)")
    p.add_argument("--binary", default=str(ROOT / "target/release/palisade"), help="the palisade to measure (target/release/palisade)")
    p.add_argument("--commit", help="the commit that the binary was built from (the checkout's)")
    p.add_argument("--pgbouncer", help="another PgBouncer than Debian's")
    p.add_argument("--work", default=str(ROOT / "data/speed"), help="folder for the servers' data (data/speed)")
    p.add_argument("--out", default=str(ROOT / "bench/results"), help="folder for the results (bench/results)")
    p.add_argument("--port", type=int, default=26400, help="first of five ports (26400)")
    options = p.parse_args()
    if options.short:
        options.seconds, options.rounds, options.clients = 3, 1, "16"
        options.workloads, options.idle_clients, options.out = "select-simple,select-prepared,tpcb,unique-text", 200, options.work
    return options


def machine():
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    memory = int(re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text()).group(1)) // 1024
    return f"{model.group(1) if model else platform.machine()}, {os.cpu_count()} CPUs, {memory} MiB, Linux {platform.release()}"


def words(*command):
    done = subprocess.run(command, capture_output=True, text=True)
    return (done.stdout or done.stderr).strip().splitlines()[0] if done.returncode == 0 else ""


def median(runs):
    """The cell of the median run by each figure."""
    return {k: None if runs[0][k] is None else round(statistics.median(r[k] for r in runs), 3) for k in runs[0]}


def measure_cell(targets, workload, clients, options, missing):
    """One workload at one number of clients on every target, in turn, each round in another order."""
    runs = {t: [] for t in ORDER}
    for turn in range(options.rounds):
        for target in ORDER[turn % 3:] + ORDER[:turn % 3]:
            if target == "direct" and clients > targets.direct_limit:
                missing.add(f"{workload} direct with {clients} clients: PostgreSQL lets {targets.direct_limit} in")
                continue
            try:
                runs[target].append(measure.run(workload, clients, targets.urls[target], targets.pids[target], options.seconds))
            except (RuntimeError, subprocess.TimeoutExpired) as e:
                missing.add(f"{target}: {e}".replace("\n", " "))
    cells = [{"workload": workload, "clients": clients, "target": t, **median(r)} for t, r in runs.items() if r]
    for c in cells:
        cpu = "" if c["proxy_cpu_us_per_tx"] is None else f"{c['proxy_cpu_us_per_tx']:8.1f} µs/tx ({c['proxy_user_us_per_tx']:.1f} user)"
        print(f"  {workload:<16}{clients:>4} {c['target']:<10}{c['tps']:>9.0f} tps  p50 {c['p50_ms']:7.2f}  p99 {c['p99_ms']:7.2f} ms {cpu}", flush=True)
    return cells


def main():
    options = arguments()
    if not Path(options.binary).exists():
        sys.exit(f"{options.binary} is missing: cargo build --release -p palisade")
    counts = [int(c) for c in options.clients.split(",")]
    workloads = options.workloads.split(",")
    total = len(counts) * len(workloads) * 3 * options.rounds * (options.seconds + 1)
    print(f"{len(workloads)} workloads, clients {counts}, {options.rounds} rounds of {options.seconds} s: about {total // 60 + 1} minutes", flush=True)
    targets, cells, missing, load = Targets(options), [], set(), []
    try:
        started = time.monotonic()
        for i, (workload, clients) in enumerate((w, c) for w in workloads for c in counts):
            cells += measure_cell(targets, workload, clients, options, missing)
            load.append(os.getloadavg()[0])
            print(f"  {i + 1} of {len(counts) * len(workloads)}, {time.monotonic() - started:.0f} s", flush=True)
        memory = {} if not options.idle_clients else {
            t: idle.bytes_per_client(targets.urls[t], targets.pids[t], options.idle_clients) for t in ("pgbouncer", "palisade")}
    finally:
        targets.stop()
    date = datetime.date.today().isoformat()
    results = {
        "date": date, "machine": machine(), "commit": options.commit or words("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD"),
        "method": f"{options.rounds} interleaved rounds of {options.seconds} s, medians; load average {min(load):.1f} to {max(load):.1f}; "
                  f"{words(options.pgbouncer or 'pgbouncer', '--version')}; Palisade's figures are those of the whole process of `palisade up`.",
        "cells": cells, "idle": memory, "missing": sorted(missing),
    }
    write(results, Path(options.out))
    return 1 if any(m.startswith("palisade") for m in missing) else 0


def write(results, folder):
    folder.mkdir(parents=True, exist_ok=True)
    name = folder / f"proxies-{results['date']}"
    name.with_suffix(".json").write_text(json.dumps(results, indent=1, ensure_ascii=False) + "\n")
    name.with_suffix(".md").write_text(report.markdown(results))
    name.with_suffix(".svg").write_text(report.plot(results))
    print(report.markdown(results) + f"\nwritten: {name}.json, .md, .svg")


if __name__ == "__main__":
    sys.exit(main())
