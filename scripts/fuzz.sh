#!/usr/bin/env bash
# scripts/fuzz.sh [TIME] runs every fuzz target for TIME each (10s). Inputs that
# fail are left in the package's testdata/fuzz: commit them with the fix.
set -euo pipefail
cd "$(dirname "$0")/.."

failed=0
while IFS=: read -r file target; do
	echo "=== $target in $(dirname "$file")"
	go test -run='^$' -fuzz="^$target\$" -fuzztime="${1:-10s}" "./$(dirname "$file")" || failed=1
done < <(grep -rHoE --include='*_test.go' --exclude-dir=node_modules '^func Fuzz\w+' . | sed 's/:func /:/' | sort)
exit "$failed"
