#!/usr/bin/env bash
# Checks what stands in infra/ and docs/guide without a cloud: alert rules, names of metrics, the AWS templates, the book.
# Needs promtool, node, cfn-lint, checkov, mdbook.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

promtool check rules infra/monitoring/alerts.yml
promtool check config --syntax-only infra/monitoring/prometheus.yml
promtool test rules infra/monitoring/alerts_test.yml
python3 infra/monitoring/names.py
mdbook build -d "$out/book" docs/guide
python3 docs/guide/links.py

(cd infra/aws && npm test)
for stage in dev staging production; do
  (cd infra/aws && AWS_REGION=eu-central-1 npx cdk synth -q -o "$out/$stage" -c stage="$stage" \
    -c digest="sha256:$(printf '0%.0s' $(seq 64))" \
    -c certificate=arn:aws:acm:eu-central-1:123456789012:certificate/0)
  template=$out/$stage/palisade-$stage.template.json
  cfn-lint -i W3005 -- "$template"
  checkov --skip-download --quiet --compact --config-file infra/aws/checkov.yml -f "$template"
done
