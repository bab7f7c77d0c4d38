#!/usr/bin/env bash
# Builds the server and runs the end-to-end suites against it. They find it in
# CARILLON_BIN, and the services as scripts/services.sh says. CHROMIUM may name
# a browser, SCREENSHOTS a folder for what it showed.
set -euo pipefail
cd "$(dirname "$0")/.."

tmp=$(mktemp -d)
trap 'rm -rf "$tmp"' EXIT
go build -o "$tmp/carillon" .
export CARILLON_BIN=$tmp/carillon

[ -n "${CHROMIUM:-}" ] || scripts/need.sh chromium chromium # for the playground's suite
scripts/need.sh curl curl # for the README's commands
scripts/need.sh openssl openssl # for the certificate of a push service
scripts/need.sh npm nodejs npm
if node -e 'process.exit(parseInt(process.versions.node) < 20 ? 0 : 1)'; then # Debian 12 has 18
	npm install --prefix "$tmp" node@22
	PATH=$tmp/node_modules/.bin:$PATH
fi
cd e2e
npm ci
npm test
