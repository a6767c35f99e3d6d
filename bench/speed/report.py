"""The results as a Markdown table and as a plot."""
from html import escape

COLOURS = {"direct": "#9aa5b1", "pgbouncer": "#d9822b", "palisade": "#2f6fde"}
WIDTH, BAR, GAP, LEFT, CHART = 920, 9, 10, 190, 640


def by_key(results):
    return {(c["workload"], c["clients"], c["target"]): c for c in results["cells"]}


def number(value, digits=0):
    return "–" if value is None else f"{value:,.{digits}f}"


def markdown(results):
    cells = by_key(results)
    lines = [
        "# Direct, PgBouncer and Palisade side by side", "",
        f"Commit {results['commit']}; {results['machine']}. {results['method']}", "",
        "| workload | clients | tps direct | tps PgBouncer | tps Palisade | p50/p99 ms PgBouncer | p50/p99 ms Palisade | CPU µs/tx PgBouncer (user) | CPU µs/tx Palisade (user) |",
        "|---|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for workload, clients in dict.fromkeys((c["workload"], c["clients"]) for c in results["cells"]):
        direct, bouncer, palisade = (cells.get((workload, clients, t), {}) for t in COLOURS)
        waits = [f"{number(c.get('p50_ms'), 2)} / {number(c.get('p99_ms'), 2)}" for c in (bouncer, palisade)]
        cost = [f"{number(c.get('proxy_cpu_us_per_tx'), 1)} ({number(c.get('proxy_user_us_per_tx'), 1)})" for c in (bouncer, palisade)]
        rates = [number(c.get("tps")) for c in (direct, bouncer, palisade)]
        lines.append(f"| {workload} | {clients} | {' | '.join(rates + waits + cost)} |")
    lines += ["", "Memory for each idle client:", ""]
    for target, idle in results["idle"].items():
        lines.append(f"- {target}: {idle['bytes_per_client']:,} bytes at {idle['clients']:,} clients ({idle['rss_kb_before']:,} → {idle['rss_kb_with_clients']:,} kB)")
    if results["missing"]:
        lines += ["", "Not measured:", ""] + [f"- {m}" for m in results["missing"]]
    return "\n".join(lines) + "\n"


def plot(results):
    """CPU of the proxy for each transaction, a group of bars for each workload and number of clients."""
    cells = by_key(results)
    groups = [k for k in dict.fromkeys((c["workload"], c["clients"]) for c in results["cells"]) if k[0] not in ("churn", "rows-10k")]
    value = {(g, t): cells.get((*g, t), {}).get("proxy_cpu_us_per_tx") or 0 for g in groups for t in ("pgbouncer", "palisade")}
    most = max([*value.values(), 1])
    height = 60 + len(groups) * (2 * BAR + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{WIDTH}" height="{height}" fill="white"/>',
        f'<text x="8" y="18" font-size="14">CPU of the proxy for each transaction, µs ({escape(results["date"])}, {escape(results["commit"])})</text>',
    ]
    for i, target in enumerate(("pgbouncer", "palisade")):
        parts.append(f'<rect x="{LEFT + i * 110}" y="28" width="10" height="10" fill="{COLOURS[target]}"/><text x="{LEFT + 14 + i * 110}" y="37">{target}</text>')
    for row, (workload, clients) in enumerate(groups):
        y = 50 + row * (2 * BAR + GAP)
        parts.append(f'<text x="8" y="{y + 13}">{escape(workload)}, {clients} clients</text>')
        for i, target in enumerate(("pgbouncer", "palisade")):
            cost = value[(workload, clients), target]
            parts.append(f'<rect x="{LEFT}" y="{y + i * BAR}" width="{cost / most * CHART:.1f}" height="{BAR - 1}" fill="{COLOURS[target]}"/>'
                         f'<text x="{LEFT + cost / most * CHART + 4:.1f}" y="{y + i * BAR + 8}" font-size="9">{cost:.1f}</text>')
    return "\n".join(parts) + "\n</svg>\n"
