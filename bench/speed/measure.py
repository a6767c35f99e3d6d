"""One run of one workload against one target."""
import os
import re
import subprocess
import tempfile
from pathlib import Path

from targets import tool

TICKS = os.sysconf("SC_CLK_TCK")

# Each is (pgbench's protocol, its script or None for a built-in, further options).
WORKLOADS = {
    "select-simple": ("simple", None, ["-S"]),
    "select-extended": ("extended", None, ["-S"]),
    "select-prepared": ("prepared", None, ["-S"]),
    "tpcb": ("simple", None, []),
    "select-1": ("simple", "SELECT 1;\n", []),
    "rows-10k": ("simple", "SELECT aid, bid, abalance FROM pgbench_accounts WHERE aid <= 10000;\n", []),
    "churn": ("simple", None, ["-S", "-C"]),
    # pgbench puts its variables into a simple query's text, so every text is one that nobody has seen.
    "unique-text": ("simple", "\\set aid random(1, 100000)\n\\set r random(1, 1000000000)\n"
                              "SELECT abalance FROM pgbench_accounts WHERE aid = :aid AND filler <> 'x:r';\n", []),
}


def cpu_ticks(pid):
    """(user, system) of a process and its threads, in clock ticks."""
    if pid is None:
        return 0, 0
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]), int(fields[12])


def resident_kb(pid):
    if pid is None:
        return None
    return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{pid}/status").read_text()).group(1))


def percentile(ordered, share):
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def latencies(folder):
    """Milliseconds of each logged transaction, in ascending order."""
    times = []
    for file in Path(folder).glob("pgbench_log*"):
        times.extend(int(line.split(" ", 3)[2]) / 1000 for line in file.read_text().splitlines())
    return sorted(times)


def run(workload, clients, url, pid, seconds):
    """Runs pgbench and returns what a cell of the results holds, without its names."""
    protocol, script, extra = WORKLOADS[workload]
    with tempfile.TemporaryDirectory() as folder:
        command = [tool("pgbench"), "-n", "-M", protocol, "-c", str(clients), "-j", str(min(2, clients)), "-T", str(seconds), "-l", *extra]
        if script:
            Path(folder, "script.sql").write_text(script)
            command += ["-f", "script.sql"]
        before = cpu_ticks(pid)
        done = subprocess.run([*command, url], cwd=folder, capture_output=True, text=True, timeout=seconds + 120)
        after = cpu_ticks(pid)
        times = latencies(folder)
    processed = re.search(r"actually processed: (\d+)", done.stdout)
    failed = re.search(r"failed transactions: (\d+)", done.stdout)
    if done.returncode or not processed or not times or (failed and int(failed.group(1))):
        raise RuntimeError(f"{workload}, {clients} clients: {(done.stderr or done.stdout)[-400:]}")
    number = int(processed.group(1))
    user, system = ((b - a) / TICKS * 1e6 / number for a, b in zip(before, after))
    return {
        "tps": number / seconds, "p50_ms": percentile(times, 0.5), "p99_ms": percentile(times, 0.99),
        "proxy_cpu_us_per_tx": user + system if pid else None, "proxy_user_us_per_tx": user if pid else None, "rss_kb": resident_kb(pid),
    }
