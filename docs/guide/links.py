"""Every link between documents leads to a file that is there, and every page stands in the summary."""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def main() -> int:
    files = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "infra/aws").glob("*.md")]
    faults, links = [], 0
    for file in files:
        for target in LINK.findall(re.sub(r"```.*?```", "", file.read_text(), flags=re.S)):
            if re.match(r"[a-z]+:", target) or target.startswith("#"):
                continue
            links += 1
            if not (file.parent / target.split("#")[0]).exists():
                faults.append(f"{file.relative_to(ROOT)}: {target} is not there")
    pages = {p.name for p in (ROOT / "docs/guide/src").glob("*.md")} - {"SUMMARY.md"}
    summary = set(LINK.findall((ROOT / "docs/guide/src/SUMMARY.md").read_text()))
    faults += [f"{page} is not in the summary" for page in sorted(pages ^ summary)]
    print("\n".join(faults) or f"{links} links in {len(files)} files are right")
    return 1 if faults else 0


sys.exit(main())
