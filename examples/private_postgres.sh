#!/bin/sh
# PostgreSQL servers for one program alone: one, or a primary and its streaming replicas. Told what to do by lines on its
# input, answers each by a line. Servers are numbered; one that is not named is 0.
#   start [N]        starts server N, which is made if need be (as a primary of its own)  -> ok CONNECTION-STRING
#   follow N M       starts server N as a replica of M: what it was before is rewound or  -> ok CONNECTION-STRING
#                    copied anew; its name for synchronous_standby_names is sN
#   kill [N]         kill -9 of all its processes                                         -> ok
#   stop [N]         a clean stop: its replicas get everything it has written             -> ok
# or "error ...", or "skipped: ..." where there is no PostgreSQL, or nobody to run it as. At the end of its input, so also
# when that program was killed, the servers are stopped and their files are removed.
#
# The servers listen on the loopback interface only and ask for a password that is drawn anew each time. They do not
# wait for the disk: what they know outlives their processes, but would not outlive the machine.
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
answer() { echo "$*" 2>/dev/null || exit 1; } # fails when the program is gone
data() { echo "$folder/data$1"; }
pid() { head -n 1 "$(data "$1")/postmaster.pid" 2>/dev/null; }
port() { cat "$folder/port$1"; }
connection() { echo "host=127.0.0.1 port=$(port "$1") user=banyan password=$password dbname=postgres"; }

# All processes of a server, the first one's children included: one of them left alive would keep a new server out.
kill_all() {
  first=$(pid "$1")
  [ -n "$first" ] || return 0
  all="$first $(ps -o pid= --ppid "$first")"
  # shellcheck disable=SC2086 # numbers
  kill -9 $all 2>/dev/null
  for process in $all; do
    while kill -0 "$process" 2>/dev/null && ! grep -qs '^State:.Z' "/proc/$process/status"; do sleep 0.01; done
  done
  # Where nobody reaps orphans, as in many containers, the dead process keeps its number, and a new server would take it
  # for alive.
  rm -f "$(data "$1")/postmaster.pid" "$folder"/.s.PGSQL."$(port "$1")"*
}

stop() { # server, how
  $as_server "$bin/pg_ctl" -D "$(data "$1")" -m "$2" -w -t 10 stop >>"$folder/log" 2>&1
}

clean_up() {
  [ -n "$folder" ] || return 0
  for file in "$folder"/data*/postmaster.pid; do
    [ -e "$file" ] || continue
    server=${file%/postmaster.pid}
    server=${server##*/data}
    stop "$server" immediate || kill_all "$server"
  done
  rm -rf "$folder"
}
trap clean_up EXIT

make_folder() {
  [ -z "$folder" ] || return 0
  folder=$(mktemp -d "${TMPDIR:-/tmp}/banyan-postgres.XXXXXX") || return 1
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  printf '%s\n' "$password" >"$folder/password" && chmod 600 "$folder/password" || return 1
  [ -z "$as_server" ] || chown -R postgres "$folder" || return 1
  cd "$folder" || return 1
}

make_primary() {
  $as_server "$bin/initdb" -D "$(data "$1")" -U banyan -A scram-sha-256 --pwfile="$folder/password" -E UTF8 \
    --locale=C --no-sync >>"$folder/log" 2>&1 || return 1
  # Hint bits in the log make rewinding possible; in the file, as the recovery before it reads nothing else.
  echo "wal_log_hints = on" >>"$(data "$1")/postgresql.conf"
}

# Replicas look for their primary again ten times a second.
start() {
  $as_server "$bin/pg_ctl" -D "$(data "$1")" -l "$folder/server$1" -w -t 30 \
    -o "-c listen_addresses=127.0.0.1 -p $(port "$1") -k $folder -c max_connections=50 -c shared_buffers=16MB -c fsync=off \
-c cluster_name=s$1 -c wal_keep_size=64MB -c wal_retrieve_retry_interval=100ms" \
    start </dev/null >/dev/null 2>&1
}

# Ports are drawn from below those that the system gives to clients, so that nobody has taken it when a server that was
# killed comes back.
first_start() {
  for _ in 1 2 3 4 5; do
    echo $((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000)) >"$folder/port$1"
    start "$1" && return 0
  done
  return 1
}

# With a port that worked, a server comes back at it.
start_any() {
  if [ -e "$folder/port$1" ]; then start "$1"; else first_start "$1"; fi
}

start_primary() {
  make_folder || return 1
  [ -e "$(data "$1")" ] || make_primary "$1" || return 1
  start_any "$1"
}

sql() { # server, statement
  $as_server "$bin/psql" -X -q -A -t -d "$(connection "$1")" -c "$2" </dev/null 2>>"$folder/log"
}

# Whether server $1 has begun to copy from $2: one whose log has parted from the other's starts as well, and never does.
# Of a name, as others may follow too; by the primary's word, as the replica's own comes before the first refusal.
streams() {
  for _ in $(seq 100); do
    [ "$(sql "$2" "select 1 from pg_stat_replication where application_name = 's$1' and state = 'streaming'")" != 1 ] ||
      return 0
    sleep 0.1
  done
  return 1
}

# Rewinding takes what the server has beyond the other's history away from it, which a copy would cost much more to do
# for a large one. It needs a server that still has its files, and the log since the two parted; and a checkpoint of the
# other since it was promoted: until then its files give the history before, and rewinding finds nothing to do.
follow() {
  [ -n "$folder" ] || return 1
  stop "$1" fast || kill_all "$1"
  if [ -e "$(data "$1")" ]; then
    sql "$2" checkpoint && $as_server "$bin/pg_rewind" -D "$(data "$1")" --source-server="$(connection "$2")" -R \
      --no-sync >>"$folder/log" 2>&1 && start_any "$1" && streams "$1" "$2" && return 0
    stop "$1" immediate || kill_all "$1"
    rm -rf "$(data "$1")"
  fi
  $as_server "$bin/pg_basebackup" -D "$(data "$1")" -d "$(connection "$2")" -R -X stream -c fast --no-sync \
    --no-manifest >>"$folder/log" 2>&1 || return 1
  start_any "$1" && streams "$1" "$2"
}

while read -r command server other; do
  if [ -n "$reason" ]; then
    answer "skipped: $reason"
    continue
  fi
  server=${server:-0}
  case $command in
    start | follow)
      if if [ "$command" = follow ]; then follow "$server" "$other"; else start_primary "$server"; fi; then
        answer "ok $(connection "$server")"
      else
        answer "error PostgreSQL does not start: $(cat "$folder/log" "$folder/server$server" 2>/dev/null | tail -n 3 | tr '\n' ' ')"
      fi
      ;;
    stop)
      if stop "$server" fast; then answer ok; else answer "error PostgreSQL does not stop"; fi
      ;;
    kill)
      kill_all "$server"
      answer ok
      ;;
    *) answer "error unknown: $command" ;;
  esac
done
