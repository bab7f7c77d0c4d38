#!/usr/bin/env bash
# scripts/need.sh COMMAND PACKAGE... makes sure that COMMAND is there: where it
# is not, it installs the Debian packages, or says that someone must.
set -euo pipefail

command -v "$1" >/dev/null ||
	"$(dirname "$0")/apt.sh" "${@:2}" ||
	{ echo "$1 is needed and not installed (Debian: apt-get install ${*:2})" >&2; exit 1; }
