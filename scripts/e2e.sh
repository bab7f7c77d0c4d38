#!/usr/bin/env bash
# Builds the server and runs the end-to-end suites against it. They find it in
# CARILLON_BIN, and the services as scripts/services.sh says.
set -euo pipefail
cd "$(dirname "$0")/.."

scripts/need.sh npm nodejs npm
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
go build -o "$bin/carillon" .
export CARILLON_BIN=$bin/carillon
cd e2e
npm ci
npm test
