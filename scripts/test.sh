#!/usr/bin/env bash
# scripts/test.sh TARGET... makes each target, goes on when one fails, and says
# at the end which failed and how long each took.
set -euo pipefail
cd "$(dirname "$0")/.."

passed=0
failed=0
summary=
for target; do
	printf '\n=== make %s\n' "$target"
	began=$SECONDS
	if make --no-print-directory "$target"; then
		passed=$((passed + 1)) result=ok
	else
		failed=$((failed + 1)) result=FAILED
	fi
	summary+=$(printf '%-7s %-10s %4d s' "$result" "$target" $((SECONDS - began)))$'\n'
done

printf '\n%s\n%d passed, %d failed\n' "$summary" "$passed" "$failed"
[ "$failed" -eq 0 ]
