"""Runs schemathesis against an installation of its own: see run.sh."""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "provisioning"))
from measure import Installation  # noqa: E402

# Streams of events stay open by design; a session's end would end the caller's.
LEFT_OUT = ["/events$", "/session$"]
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance,response_headers_conformance"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--schemathesis", required=True)
    parser.add_argument("--examples", default="40")
    args = parser.parse_args()
    folder = tempfile.mkdtemp(prefix="palisade-api-")
    os.chmod(folder, 0o755)
    it = Installation(args.binary, folder)
    (it.folder / "template").mkdir()
    (it.folder / "template/V1__init.sql").write_text("CREATE TABLE a (id int PRIMARY KEY);\n")
    try:
        it.start()
        it.client().make("acme")
        url = f"http://127.0.0.1:{it.ports[0]}"
        command = [args.schemathesis, "run", f"{url}/api/v1/openapi.json", "--url", url, "--checks", CHECKS,
                   "--header", f"Authorization: Bearer {it.token}", "--max-examples", args.examples, "--phases", "examples,coverage,fuzzing",
                   "--continue-on-failure", "--no-color", "--request-timeout", "70", "--suppress-health-check", "all",
                   "--generation-database", "none", "--warnings", "off"]
        for path in LEFT_OUT:
            command += ["--exclude-path-regex", path]
        return subprocess.run(command, cwd=folder).returncode
    finally:
        it.stop()
        shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    raise SystemExit(main())
