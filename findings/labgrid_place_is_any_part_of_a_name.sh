#!/usr/bin/env bash
# FOUND     labgrid-client -p PLACE takes any part of a name for the place, if only one place has it: with a single place "odroid-1",
#           "-p droid acquire" acquires odroid-1. And "release-from HOST/USER" says "HOST/USER has released place ..." with status 0 where
#           somebody else holds the place, and leaves it with them.
# VERSIONS  labgrid 26.0.1 (its own coordinator, exporter and client).
# GUESS     "A name that no place has is an error", and "has released" tells that the place is free.
# WHO       Scripts that lend boards: a name that was mistyped or is of a place that is gone takes somebody's board; a script that
#           waits for "has released" goes on with a board that is in use. List the places and compare whole names first; ask "show" after.
set -euo pipefail
work=$(mktemp -d)
pids=
cleanup() { for pid in $pids; do kill "$pid" 2>/dev/null || true; wait "$pid" 2>/dev/null || true; done; rm -rf "$work"; }
trap cleanup EXIT
cd "$work"
python3 -m venv venv
venv/bin/pip install -q --disable-pip-version-check labgrid==26.0.1 2>pip.log || { cat pip.log; exit 1; }

mkdir state
(cd state && exec ../venv/bin/labgrid-coordinator -l 127.0.0.1:0) >coordinator.log 2>&1 &
pids=$!
for _ in $(seq 100); do grep -q "listening on" coordinator.log && break; sleep 0.1; done
LG_COORDINATOR=$(sed -n 's/^listening on //p' coordinator.log)
export LG_COORDINATOR LG_HOSTNAME=bench LG_USERNAME=ann
client() { timeout 60 venv/bin/labgrid-client "$@"; }

client -p odroid-1 create
client -p droid acquire | tee acquired
client -p odroid-1 show | grep acquired: | tee shown
grep -q "acquired: bench/ann" shown

client -p odroid-1 release-from bench/bob | tee released
client -p odroid-1 show | grep acquired: | tee shown
grep -q "bench/bob has released" released
grep -q "acquired: bench/ann" shown
echo "part of a name acquired the place; what was said to be released is still held"
