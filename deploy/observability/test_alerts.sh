#!/bin/sh
# Checks the alert rules and runs their cases.
set -eu
cd "$(dirname "$0")"
promtool=$(sh prometheus.sh promtool)
"$promtool" check rules alerts.yaml
"$promtool" test rules alerts_test.yaml
