#!/bin/sh
# A PostgreSQL server for one program alone. Told what to do by lines on its input, answers each by a line:
#   start   starts the server                 -> ok CONNECTION-STRING
#   kill    kill -9 of all its processes      -> ok
# or "error ...", or "skipped: ..." where there is no PostgreSQL, or nobody to run it as. At the end of its
# input, so also when that program was killed, the server is stopped and its files are removed.
#
# The server listens on the loopback interface only and asks for a password that is drawn anew each time. It does not
# wait for the disk: what it knows outlives its processes, but would not outlive the machine.
set -u
trap '' INT HUP TERM PIPE # these reach the program as well, and what is here to do then comes with the end of the input

bin=
for folder in "$(pg_config --bindir 2>/dev/null)" /usr/lib/postgresql/*/bin /usr/local/pgsql/bin; do
  if [ -x "$folder/initdb" ] && [ -x "$folder/pg_ctl" ]; then bin=$folder; fi
done

as_server=
reason=
if [ -z "$bin" ]; then
  reason="no PostgreSQL server is installed"
elif [ "$(id -u)" = 0 ]; then
  as_server="runuser -u postgres --" # the server refuses to run as root
  $as_server true 2>/dev/null || reason="this is root, and there is no user postgres to run the server as"
fi

folder=
port=
answer() { echo "$*" 2>/dev/null || exit 1; } # fails when the program is gone
pid() { head -n 1 "$folder/data/postmaster.pid" 2>/dev/null; }

# All processes of the server, the first one's children included: one of them left alive would keep a new server out.
kill_all() {
  first=$(pid)
  [ -n "$first" ] || return 0
  all="$first $(ps -o pid= --ppid "$first")"
  # shellcheck disable=SC2086 # numbers
  kill -9 $all 2>/dev/null
  for process in $all; do
    while kill -0 "$process" 2>/dev/null && ! grep -qs '^State:.Z' "/proc/$process/status"; do sleep 0.01; done
  done
  # Where nobody reaps orphans, as in many containers, the dead process keeps its number, and a new server would take it
  # for alive.
  rm -f "$folder/data/postmaster.pid" "$folder"/.s.PGSQL.*
}

clean_up() {
  [ -n "$folder" ] || return 0
  $as_server "$bin/pg_ctl" -D "$folder/data" -m immediate -w -t 10 stop >/dev/null 2>&1 || kill_all
  rm -rf "$folder"
}
trap clean_up EXIT

make_folder() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/banyan-postgres.XXXXXX") || return 1
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s\n' "$password" >"$folder/password" && chmod 600 "$folder/password" || return 1
  [ -z "$as_server" ] || chown -R postgres "$folder" || return 1
  cd "$folder" || return 1
  $as_server "$bin/initdb" -D "$folder/data" -U banyan -A scram-sha-256 --pwfile="$folder/password" -E UTF8 \
    --locale=C --no-sync >"$folder/log" 2>&1
}

# The port is drawn from below those that the system gives to clients, so that nobody has taken it when a server that
# was killed comes back.
draw_port() { port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000)); }

start() {
  $as_server "$bin/pg_ctl" -D "$folder/data" -l "$folder/data/log" -w -t 30 \
    -o "-c listen_addresses=127.0.0.1 -p $port -k $folder -c max_connections=50 -c shared_buffers=16MB -c fsync=off" \
    start </dev/null >/dev/null 2>&1
}

first_start() {
  make_folder || return 1
  for _ in 1 2 3 4 5; do
    draw_port
    start && return 0
  done
  return 1
}

while read -r command; do
  if [ -n "$reason" ]; then
    answer "skipped: $reason"
    continue
  fi
  case $command in
    start)
      if if [ -z "$folder" ]; then first_start; else start; fi; then
        answer "ok host=127.0.0.1 port=$port user=banyan password=$password dbname=postgres"
      else
        answer "error PostgreSQL does not start: $(cat "$folder/log" "$folder/data/log" 2>/dev/null | tail -n 3 | tr '\n' ' ')"
      fi
      ;;
    kill)
      kill_all
      answer ok
      ;;
    *) answer "error unknown: $command" ;;
  esac
done
