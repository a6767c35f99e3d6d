#!/usr/bin/env python3
"""Plays the corpora with both walls, and the attacks with each wall alone; ends in a table class × wall.

usage: corpora.py WORK_FOLDER both|each [arguments of leakrun.py]   (WORK_FOLDER as bench/leak/prepare.py leaves it)

- both walls: every attack is contained, every benign statement passes.
- database alone: A comes past the proxy as its own server role. No row of B may come back and nothing of B may change
  (the promise about data); names and definitions are the proxy's part and are not looked at.
- proxy alone: A's roles have every right in B's schema, and read all catalogs. What is put together on the server (DO,
  EXECUTE, bodies of functions) the proxy cannot see; such cases stand in bench/corpus/known-proxy-alone.txt.
"""
import json
import os
import subprocess
import sys
from collections import Counter

CORPUS = "bench/corpus"
BOTH, DATABASE, PROXY = "both walls", "database alone", "proxy alone"
KNOWN = {BOTH: "known.txt", DATABASE: "known-database-alone.txt", PROXY: "known-proxy-alone.txt"}


def psql(*arguments):
    command = ["psql", os.environ["PALISADE_DATABASE_URL"], "-q", "-At", "-v", "ON_ERROR_STOP=1", *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def known(wall):
    """Cases that are known not to hold, with their reasons; ID@14 on PostgreSQL 14 alone."""
    path = f"{CORPUS}/{KNOWN[wall]}"
    lines = open(path).read().splitlines() if os.path.exists(path) else []
    if wall == PROXY:
        lines += open(f"{CORPUS}/{KNOWN[BOTH]}").read().splitlines()
    listed = (line.split(None, 1) for line in lines if line.strip() and not line.startswith("#"))
    ours = ("", psql("-c", "SHOW server_version_num")[:2])
    return {name.partition("@")[0]: reason for name, reason in listed if name.partition("@")[2] in ours}


def play(work, corpus, names, rebuild, arguments):
    """Results by case, or why there are none."""
    target = json.load(open(names))
    out = f"{work}/{corpus}.out"
    command = [sys.executable, f"{CORPUS}/leakrun.py", "--corpus", f"{CORPUS}/{corpus}.jsonl", "--port", target["port"],
               "--admin-port", target["admin_port"], "--db", target["database"], "--names", names,
               "--tenant-a", target["names"]["{A}"], "--tenant-b", target["names"]["{B}"], "--out", out]
    # What a case has changed is made anew before the next one.
    command += ["--rebuild", f"psql '{os.environ['PALISADE_DATABASE_URL']}' -q -v ON_ERROR_STOP=1 -f {rebuild} 2>>{work}/rebuild.log"]
    done = subprocess.run(command + arguments, capture_output=True, text=True)
    if " run, " not in done.stdout:
        sys.exit(f"{corpus}: nothing was run: {done.stderr[-500:]}")
    return {case["id"]: case for case in map(json.loads, open(out))}


def held(case, wall):
    """Whether a case held: with the database alone it is about data."""
    if wall != DATABASE or case["held"] is None:
        return bool(case["held"])
    return not case.get("changed") and not any(token.startswith(("zqbrow", "=zqbrow")) for token in case.get("leaked", []))


def judged(what, cases, wall):
    """Prints what did not hold; whether all of it was known."""
    reasons = known(wall)
    open_ = sorted(name for name, case in cases.items() if not held(case, wall))
    for name in open_:
        print(f"  {name}  {reasons.get(name) or 'NOT KNOWN: ' + '; '.join(cases[name]['problems'])[:300]}")
    print(f"{what}: {len(cases)} run, {len(cases) - len(open_)} held, {len(open_)} not held")
    for name in sorted(name for name in reasons if name in cases and name not in open_):
        print(f"  {name} holds now: take it off {CORPUS}/{KNOWN[wall]}")
    return not set(open_) - set(reasons)


def table(attacks):
    """One line for each class: how many held of how many, wall by wall."""
    classes = sorted({case["cls"] for cases in attacks.values() for case in cases.values()})
    print(f"\n{'attack class':<22}" + "".join(f"{wall:>18}" for wall in attacks))
    for name in [*classes, "all"]:
        cells = []
        for wall, cases in attacks.items():
            mine = [case for case in cases.values() if name in ("all", case["cls"])]
            cells.append(f"{sum(held(case, wall) for case in mine)}/{len(mine)}")
        print(f"{name:<22}" + "".join(f"{cell:>18}" for cell in cells))
    if DATABASE in attacks:
        print("The database alone is asked for the promise about data: no row of B comes back, nothing of B changes.\n")


def rebuilt(work):
    """Whether every rebuild of the lab went well."""
    path = f"{work}/rebuild.log"
    errors = [line for line in open(path).read().splitlines() if "ERROR" in line] if os.path.exists(path) else []
    print("\n".join(errors[:5]), end="\n" if errors else "")
    return not errors


def database_alone(work, arguments):
    """A's server role gets a password for the time of the run; the proxy derives its own."""
    names = json.load(open(f"{work}/names.json"))
    direct = names["direct"]
    verifier = psql("-c", f"SELECT rolpassword FROM pg_authid WHERE rolname = '{direct['role']['A']}'")
    theirs = psql("-c", f"SELECT rolpassword FROM pg_authid WHERE rolname = '{direct['role']['B']}'")
    for side in "AB":
        role, schema = direct["role"][side], names["names"]["{S%s}" % side]
        psql("-c", f"ALTER ROLE {role} PASSWORD '{direct['password']}'")
        startup = {"options": f"-c search_path={schema},ext,pg_temp -c role={schema}_owner"}
        names["login"][side] = {"user": role, "database": names["database"], "password": direct["password"], "startup": startup}
    names["names"].update({"{RA}": direct["role"]["A"], "{DB}": names["database"], "{PA}": direct["password"], "{PB}": direct["password"]})
    names.update({"port": names["admin_port"], "shown": {}})
    json.dump(names, open(f"{work}/direct.json", "w"))
    try:
        return play(work, "attacks", f"{work}/direct.json", f"{work}/rebuild.sql", ["--no-oracle", *arguments])
    finally:
        psql("-c", f"ALTER ROLE {direct['role']['A']} PASSWORD '{verifier}'; ALTER ROLE {direct['role']['B']} PASSWORD '{theirs}'")


def proxy_alone(work, arguments):
    """The database is opened to A for the time of the run."""
    psql("-f", f"{work}/open.sql")
    try:
        return play(work, "attacks", f"{work}/names.json", f"{work}/rebuild-open.sql", arguments)
    finally:
        psql("-f", f"{work}/close.sql")


def main():
    work, walls, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    attacks = {BOTH: play(work, "attacks", f"{work}/names.json", f"{work}/rebuild.sql", arguments)}
    good = [judged("attacks", attacks[BOTH], BOTH)]
    good.append(judged("benign", play(work, "benign", f"{work}/names.json", f"{work}/rebuild.sql", arguments), BOTH))
    if walls == "each":
        for wall, run in ((DATABASE, database_alone), (PROXY, proxy_alone)):
            psql("-f", f"{work}/rebuild.sql")
            attacks[wall] = run(work, arguments)
            good.append(judged(f"attacks, {wall}", attacks[wall], wall))
    table(attacks)
    good.append(rebuilt(work))
    errors = Counter(wall for wall, cases in attacks.items() for case in cases.values() if case["held"] is None)
    for wall, number in errors.items():
        print(f"{number} cases could not be played with {wall}")
    sys.exit(0 if all(good) and not errors else 1)


main()
