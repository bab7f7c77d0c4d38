#!/usr/bin/env bash
# scripts/apt.sh PACKAGE... installs Debian packages where that can be done
# without asking anyone: as root, with apt. Elsewhere it fails and says nothing;
# the caller knows better what to tell.
set -euo pipefail

[ "$(id -u)" -eq 0 ] && command -v apt-get >/dev/null || exit 1

export DEBIAN_FRONTEND=noninteractive
export RUNLEVEL=1 # no package starts a service of its own: tests start theirs
{
	apt-get -qq update
	apt-get -qq -o DPkg::Lock::Timeout=300 install -y --no-install-recommends "$@"
} </dev/null >&2
