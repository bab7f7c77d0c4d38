#!/usr/bin/env bash
# Generates the code and fails if that changes, adds or removes a file. What is
# not committed yet counts as it stands, so it works in the middle of a change.
set -euo pipefail
cd "$(dirname "$0")/.."

sums() { git ls-files -z --cached --others --exclude-standard | xargs -0 cksum 2>/dev/null | sort -u -k3 || true; }

before=$(sums)
go generate ./...
if ! changed=$(diff <(echo "$before") <(sums)); then
	echo "go generate changed these files; look at them and commit them:" >&2
	awk '/^[<>]/ { print "  " $4 }' <<<"$changed" | sort -u >&2
	exit 1
fi
