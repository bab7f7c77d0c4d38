#!/usr/bin/env bash
# Provides the PostgreSQL and the Redis that tests and benchmarks need.
#
#   scripts/services.sh run COMMAND...  runs COMMAND with both, then stops what it started
#   scripts/services.sh start           both until stop:  eval "$(scripts/services.sh start)"
#   scripts/services.sh env             what start printed, for another shell
#   scripts/services.sh stop            stops what start started
#   scripts/services.sh programs        installs the programs themselves, for tests that start
#                                       servers of their own; fails only in CI if it cannot
#
# Each of the two is the first of these that there is:
#   1. the one that TEST_POSTGRES_URL or TEST_REDIS_URL names;
#   2. one on the default port that lets us in;
#   3. one started here, from programs on this machine, on a free port;
#   4. the same after apt-get has installed it (root on Debian only);
#   5. a container (docker compose).
# A PostgreSQL that was running already gets a scratch database, dropped
# afterwards, and a Redis that was running already is never flushed.
#
# COMMAND sees TEST_POSTGRES_URL and TEST_REDIS_URL.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
dir=   # all that belongs to these services: data, logs, pids, env
child= # the command of run

say() { printf 'services: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }
random() { od -An -N12 -tx1 /dev/urandom | tr -d ' \n'; }
keep() { (umask 077 && tee "$1"); } # FILE: for this user's eyes only

# The user postgres must reach its data, so root does not put it below a TMPDIR
# of its own.
tmp() { if [ "$(id -u)" -eq 0 ]; then echo /tmp; else echo "${TMPDIR:-/tmp}"; fi; }

# Below the ports that the kernel gives to outgoing connections.
free_port() {
	local port
	while port=$((20000 + RANDOM % 12000)); (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
	echo "$port"
}

wait_for() { # PID COMMAND...: until COMMAND succeeds, while PID lives, a minute at most
	local pid=$1 deadline=$((SECONDS + 60))
	shift
	until "$@"; do
		kill -0 "$pid" 2>/dev/null && [ $SECONDS -lt $deadline ] || return 1
		sleep 0.1
	done
}

has_compose() { docker compose version >/dev/null 2>&1 && docker info >/dev/null 2>&1; }

compose() { # ARGS...
	local password
	password=$(cat "$dir/compose")
	PASSWORD=$password docker compose --project-name "carillon-test-${password:0:8}" \
		--file "$here/compose.yaml" "$@"
}

compose_up() { # SERVICE PORT: prints host:port
	[ -e "$dir/compose" ] || random | keep "$dir/compose" >/dev/null
	compose up --detach --wait "$1" >&2 && compose port "$1" "$2"
}

# --- PostgreSQL ---------------------------------------------------------------

postgres_bin() { # the newest there is
	local bin found=
	for bin in "$(dirname "$(command -v initdb || echo none)")" \
		/opt/homebrew/opt/postgresql*/bin /usr/lib/postgresql/*/bin; do
		if [ -x "$bin/initdb" ] && [ -x "$bin/postgres" ]; then found=$bin; fi
	done
	[ -n "$found" ] && echo "$found"
}

sql() { # URL STATEMENT
	local psql
	psql=$(command -v psql || echo "$(postgres_bin)/psql")
	PGCONNECT_TIMEOUT=3 "$psql" --no-password -XAtq -v ON_ERROR_STOP=1 "$1" -c "$2"
}

with_database() { # URL NAME: the same URL with another database
	local base=${1%%\?*} query=
	[[ $1 == *\?* ]] && query="?${1#*\?}"
	local server=${base#*://}
	echo "${base%%://*}://${server%%/*}/$2$query"
}

# One on the default port is of use if it lets us in, lets us make databases and
# has connections for all that runs side by side.
default_postgres() {
	local url
	for url in "postgres:///postgres?host=/var/run/postgresql" "postgres:///postgres?host=/tmp" \
		"postgres://127.0.0.1:5432/postgres" "postgres://postgres@127.0.0.1:5432/postgres"; do
		if [ "$(sql "$url" "select (rolsuper or rolcreatedb) and not pg_is_in_recovery()
			and current_setting('max_connections')::int >= 200
			from pg_roles where rolname = current_user" 2>/dev/null)" = t ]; then
			echo "$url"
			return
		fi
	done
	return 1
}

scratch_database() { # URL: a new database on that server becomes TEST_POSTGRES_URL
	local name
	name=carillon_test_$(random)
	sql "$1" "create database $name" || fail "no database can be made on ${1##*@}"
	TEST_POSTGRES_URL=$(with_database "$1" "$name")
	printf '%s\n' "$1" "$name" | keep "$dir/scratch" >/dev/null
}

start_postgres() { # BIN
	local bin=$1 home=$dir/postgres port url user as=(env)
	mkdir "$home"
	random | keep "$home/password" >/dev/null
	if [ "$(id -u)" -eq 0 ]; then # PostgreSQL refuses to run as root
		user=$(id -un postgres 2>/dev/null || echo nobody)
		as=(setpriv --reuid="$user" --regid="$(id -g "$user")" --init-groups)
		chown -R "$user:$(id -g "$user")" "$home"
	fi
	port=$(free_port)
	url="postgres://postgres:$(cat "$home/password")@127.0.0.1:$port/postgres?sslmode=disable"
	(cd "$home" && exec "${as[@]}" "$bin/initdb" -D "$home/data" -U postgres --encoding=UTF8 --locale=C \
		--auth=password --pwfile="$home/password") >"$dir/postgres.log" 2>&1 ||
		{ cat "$dir/postgres.log" >&2; fail "initdb failed"; }
	set -m # a process group of its own: Ctrl-C is for the tests, which need it to the end
	# It is thrown away, and tests of crashes start others, so nothing is for the disk.
	(cd "$home" && exec "${as[@]}" "$bin/postgres" -D "$home/data" -c port="$port" -c listen_addresses=127.0.0.1 \
		-c unix_socket_directories= -c max_connections=300 -c fsync=off -c full_page_writes=off) >>"$dir/postgres.log" 2>&1 </dev/null &
	set +m
	echo $! >"$dir/postgres.pid"
	wait_for $! sql "$url" "select 1" >/dev/null 2>&1 ||
		{ cat "$dir/postgres.log" >&2; fail "PostgreSQL did not start"; }
	TEST_POSTGRES_URL=$url
	say "PostgreSQL started from $bin on port $port"
}

compose_postgres() {
	local address
	address=$(compose_up postgres 5432) || fail "docker compose could not start PostgreSQL"
	TEST_POSTGRES_URL="postgres://postgres:$(cat "$dir/compose")@$address/postgres?sslmode=disable"
	say "PostgreSQL started in a container on $address"
}

provide_postgres() {
	local found
	if [ -n "${TEST_POSTGRES_URL:-}" ]; then
		scratch_database "$TEST_POSTGRES_URL"
	elif found=$(default_postgres); then
		scratch_database "$found"
		say "PostgreSQL found on its default port"
	elif found=$(postgres_bin); then
		start_postgres "$found"
	elif "$here/apt.sh" postgresql && found=$(postgres_bin); then
		start_postgres "$found"
	elif has_compose; then
		compose_postgres
	else
		fail "no PostgreSQL: install it (Debian: postgresql), start Docker, or set TEST_POSTGRES_URL"
	fi
}

# --- Redis --------------------------------------------------------------------

redis_answers() { # PORT [PASSWORD]
	(
		exec 3<>"/dev/tcp/127.0.0.1/$1" || exit 1
		printf '%sPING\r\n' "${2:+AUTH $2$'\r\n'}" >&3
		while read -r -t 2 line <&3; do
			case $line in +PONG*) exit 0 ;; -*) exit 1 ;; esac
		done
		exit 1
	) 2>/dev/null
}

start_redis() { # PROGRAM
	local port password
	port=$(free_port)
	password=$(random)
	set -m
	printf '%s\n' "bind 127.0.0.1" "port $port" "requirepass $password" 'save ""' "dir $dir" |
		"$1" - >"$dir/redis.log" 2>&1 &
	set +m
	echo $! >"$dir/redis.pid"
	wait_for $! redis_answers "$port" "$password" ||
		{ cat "$dir/redis.log" >&2; fail "Redis did not start"; }
	TEST_REDIS_URL="redis://:$password@127.0.0.1:$port/0"
	say "Redis started from $1 on port $port"
}

compose_redis() {
	local address
	address=$(compose_up redis 6379) || fail "docker compose could not start Redis"
	TEST_REDIS_URL="redis://:$(cat "$dir/compose")@$address/0"
	say "Redis started in a container on $address"
}

provide_redis() {
	local found
	if [ -n "${TEST_REDIS_URL:-}" ]; then
		return
	elif redis_answers 6379; then
		TEST_REDIS_URL=redis://127.0.0.1:6379/0
		say "Redis found on its default port"
	elif found=$(command -v redis-server); then
		start_redis "$found"
	elif "$here/apt.sh" redis-server && found=$(command -v redis-server); then
		start_redis "$found"
	elif has_compose; then
		compose_redis
	else
		fail "no Redis: install it (Debian: redis-server), start Docker, or set TEST_REDIS_URL"
	fi
}

# --- start and stop -----------------------------------------------------------

start() {
	provide_postgres
	provide_redis
	export TEST_POSTGRES_URL TEST_REDIS_URL
}

end() { # PIDFILE SIGNAL: asks first, insists after ten seconds
	local pid deadline=$((SECONDS + 10))
	[ -e "$1" ] || return 0
	pid=$(cat "$1")
	kill -s "$2" "$pid" 2>/dev/null || return 0
	while kill -0 "$pid" 2>/dev/null; do
		[ $SECONDS -lt $deadline ] || kill -s KILL "$pid" 2>/dev/null || true
		sleep 0.1
	done
}

stop() {
	if [ -e "$dir/scratch" ]; then
		{ read -r url; read -r name; } <"$dir/scratch"
		sql "$url" "drop database if exists $name with (force)" || say "$name could not be dropped"
	fi
	end "$dir/postgres.pid" QUIT # at once: its data goes too
	end "$dir/redis.pid" TERM
	if [ -e "$dir/compose" ]; then compose down --volumes || true; fi
	rm -rf "$dir"
}

programs() {
	local missing=
	postgres_bin >/dev/null || "$here/apt.sh" postgresql || missing+=" postgresql"
	command -v redis-server >/dev/null || "$here/apt.sh" redis-server || missing+=" redis-server"
	[ -n "$missing" ] || return 0
	say "not installed:$missing"
	[ -z "${CI:-}" ]
}

interrupted() { # SIGNAL STATUS: the command first; its end is ours
	[ -n "$child" ] || exit "$2"
	kill -s "$1" -- "-$child" 2>/dev/null || true
}

run() { # COMMAND...
	local status=0
	dir=$(mktemp -d "$(tmp)/carillon-services.XXXXXX")
	chmod 711 "$dir"
	trap stop EXIT
	trap 'interrupted INT 130' INT
	trap 'interrupted TERM 143' TERM HUP
	start
	set -m # its own process group, so that a signal reaches all it started
	"$@" </dev/null &
	set +m
	child=$!
	while wait "$child" || status=$?; kill -0 "$child" 2>/dev/null; do :; done
	kill -s TERM -- "-$child" 2>/dev/null || true # what it left behind
	exit "$status"
}

lasting=$(tmp)/carillon-services-$(id -u)
case ${1:-} in
run)
	shift
	run "$@"
	;;
start)
	dir=$lasting
	mkdir -m 711 "$dir" 2>/dev/null || fail "$dir is there: they run already (see env and stop)"
	trap stop EXIT
	start
	printf "export TEST_POSTGRES_URL='%s' TEST_REDIS_URL='%s'\n" "$TEST_POSTGRES_URL" "$TEST_REDIS_URL" | keep "$dir/env"
	trap - EXIT
	;;
env)
	cat "$lasting/env"
	;;
stop)
	dir=$lasting
	[ -d "$dir" ] || fail "nothing was started"
	stop
	;;
programs)
	programs
	;;
*)
	sed -n '2,/^set /s/^# \{0,1\}//p' "$0"
	exit 2
	;;
esac
