#!/bin/sh
# A Redis server for one program alone. Told what to do by lines on its input, answers each by a line:
#   start    starts the server, empty           -> ok PORT PASSWORD SOCKET
#   kill     kill -9                            -> ok
#   pause    it keeps its connections and says nothing (SIGSTOP)  -> ok
#   resume   it goes on                         -> ok
# or "error ...", or "skipped: ..." where there is no Redis. At the end of its input, so also when that program was killed,
# the server is killed and its files are removed.
#
# The server listens on the loopback interface and on a socket in its folder, and asks for a password that is drawn anew
# each time. It writes nothing to disk but its log.
set -u
trap '' INT HUP TERM PIPE # these reach the program as well, and what is here to do then comes with the end of the input

reason=
command -v redis-server >/dev/null || reason="no Redis server is installed"

folder=
port=
server=
answer() { echo "$*" 2>/dev/null || exit 1; } # fails when the program is gone

kill_server() {
  [ -n "$server" ] || return 0
  kill -9 "$server" 2>/dev/null
  wait "$server" 2>/dev/null
  server=
}

clean_up() {
  kill_server
  [ -z "$folder" ] || rm -rf "$folder"
}
trap clean_up EXIT

make_folder() {
  folder=$(mktemp -d "${TMPDIR:-/tmp}/banyan-redis.XXXXXX") || return 1
  password=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
  cd "$folder" || return 1
}

# The port is drawn from below those that the system gives to clients, so that nobody has taken it when a server that
# was killed comes back.
draw_port() { port=$((20000 + $(od -An -N2 -tu2 /dev/urandom) % 12000)); }

start() {
  [ -z "$server" ] || return 0
  (
    umask 077
    printf '%s\n' "bind 127.0.0.1" "port $port" "unixsocket $folder/socket" "requirepass $password" 'save ""' \
      "appendonly no" "daemonize no" "dir $folder" "logfile $folder/log" >configuration
  )
  : >log
  rm -f socket
  redis-server "$folder/configuration" </dev/null >/dev/null 2>&1 &
  server=$!
  while kill -0 "$server" 2>/dev/null; do
    ! grep -q 'eady to accept connections' log || return 0
    sleep 0.02
  done
  wait "$server" 2>/dev/null
  server=
  return 1
}

first_start() {
  make_folder || return 1
  for _ in 1 2 3 4 5; do
    draw_port
    start && return 0
  done
  return 1
}

signalled() {
  if [ -n "$server" ] && kill "-$1" "$server"; then answer ok; else answer "error there is no server"; fi
}

while read -r command; do
  if [ -n "$reason" ]; then
    answer "skipped: $reason"
    continue
  fi
  case $command in
    start)
      if if [ -z "$folder" ]; then first_start; else start; fi; then
        answer "ok $port $password $folder/socket"
      else
        answer "error Redis does not start: $(tail -n 3 "$folder/log" 2>/dev/null | tr '\n' ' ')"
      fi
      ;;
    kill)
      kill_server
      answer ok
      ;;
    pause) signalled STOP ;;
    resume) signalled CONT ;;
    *) answer "error unknown: $command" ;;
  esac
done
