#!/bin/sh
# Installs banyan, moves the installed folder elsewhere, and builds a user's program against it in each way that the
# README names: find_package, add_subdirectory (and FetchContent, which adds to it), pkg-config.
#   tests/consumers/run.sh [FOLDER]     everything is built in FOLDER (build/consumers)
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
work=${1:-$top/build/consumers}
rm -rf "$work"
mkdir -p "$work"
work=$(cd "$work" && pwd)
version=$(sed -n 's/^#define BANYAN_VERSION_[A-Z]* //p' "$top/include/banyan/version.hpp" | paste -sd.)

say() { printf '%s: ok\n' "$1"; }
fail() { printf '%s\n' "$1" >&2; exit 1; }
quietly() { "$@" >"$work/log" 2>&1 || { cat "$work/log" >&2; fail "failed: $*"; }; }
prints_version() { [ "$("$2")" = "$version" ] || fail "$1: the program does not print $version"; say "$1"; }

quietly cmake -S "$top" -B "$work/library" -DCMAKE_INSTALL_PREFIX="$work/prefix" -DBANYAN_BUILD_TESTS=OFF \
  -DBANYAN_BUILD_BENCHMARKS=OFF -DBANYAN_BUILD_EXAMPLES=OFF -DBANYAN_BUILD_LAB=OFF
quietly cmake --install "$work/library"
mv "$work/prefix" "$work/moved"
[ -z "$(grep -rl "$work" "$work/moved" || true)" ] || fail "the installed files name the folder they were built in"
say "install, relocated"

quietly cmake -S "$top/test_package" -B "$work/find_package" -DCMAKE_PREFIX_PATH="$work/moved"
quietly cmake --build "$work/find_package"
prints_version "find_package" "$work/find_package/consumer"

for way in OFF ON; do
  quietly cmake -S "$top/tests/consumers/add_subdirectory" -B "$work/subdirectory_$way" -DUSE_FETCH_CONTENT=$way
  quietly cmake --build "$work/subdirectory_$way"
done
prints_version "add_subdirectory" "$work/subdirectory_OFF/consumer"
prints_version "FetchContent" "$work/subdirectory_ON/consumer"

PKG_CONFIG_PATH=$(dirname "$(find "$work/moved" -name banyan.pc)")
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion banyan)" = "$version" ] || fail "banyan.pc does not say version $version"
# shellcheck disable=SC2046 # the flags are words
quietly ${CXX:-c++} -std=c++20 "$top/test_package/consumer.cpp" -o "$work/pkg_config" $(pkg-config --cflags --libs banyan)
prints_version "pkg-config" "$work/pkg_config"
