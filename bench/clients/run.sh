#!/usr/bin/env bash
# The client matrix: bench/clients/run.sh DEV_ENV [client…]
#
# Each client plays the same script (script.jsonl) twice: through the proxy as a tenant's owner, and direct against a
# plain database of its own on the same PostgreSQL. Equal transcripts pass; each difference is printed and fails.
# Without names the four clients of the short form run; "all" runs every client; `run.sh --list` names them.
# What has to be installed goes below data/clients of the checkout (PALISADE_CLIENTS_CACHE names another folder).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
exec python3 bench/clients/matrix.py "$@"
