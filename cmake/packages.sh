# Sourced by the project's scripts. need PACKAGE... installs what is missing where apt is there (as root, or through
# sudo), and otherwise says what to install and ends the script. PACKAGE?COMMAND is satisfied by the command alone.
# shellcheck shell=sh

need() {
  missing=
  for wanted in "$@"; do
    package=${wanted%%\?*}
    case $wanted in
      *\?*) command -v "${wanted#*\?}" >/dev/null && continue ;;
      *)
        # Without dpkg, libraries are left to CMake, which looks for them and fetches those it can.
        command -v dpkg-query >/dev/null || continue
        case $(dpkg-query -W -f='${Status}' "$package" 2>/dev/null) in *" installed") continue ;; esac
        ;;
    esac
    missing="$missing $package"
  done
  [ -n "$missing" ] || return 0

  become_root=
  if ! command -v apt-get >/dev/null; then
    echo "Please install these first, under the names your system has for them:$missing" >&2
    echo "(a C++20 compiler means GCC 12 or newer, or Clang 16 or newer; CMake must be 3.23 or newer)" >&2
    exit 1
  elif [ "$(id -u)" != 0 ]; then
    become_root=sudo
    if ! command -v sudo >/dev/null; then
      echo "Please run this first, as root: apt-get install$missing" >&2
      exit 1
    fi
  fi

  echo "installing (this may take a minute or two):$missing"
  log=$(mktemp)
  # shellcheck disable=SC2086 # the names are words
  if ! $become_root sh -c 'apt-get -qq update &&
      DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends "$@"' sh $missing >"$log" 2>&1 </dev/null
  then
    cat "$log" >&2
    rm -f "$log"
    echo "apt-get could not install:$missing" >&2
    exit 1
  fi
  rm -f "$log"
}

# Runs a command and shows what it printed only when it failed.
quietly() {
  log=$(mktemp)
  if ! "$@" >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}
