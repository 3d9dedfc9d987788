#!/bin/bash
# Machines that are reached by ssh train together: docs/launch/ssh.sh ./my-rig.toml gpu1 gpu2
# The suite lies in a folder that all of them share, at the same path, and a key opens them.
set -euo pipefail

platform=$1
shift
hosts=$(printf '%s:2222,' "$@")
hosts=${hosts%,}

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
rank=0
for machine in "$@"; do
    # -tt: when this script ends, the machine's command gets SIGHUP, saves and ends too.
    ssh -tt "$machine" "cd '$PWD' && make bench PLATFORM='$platform' HOSTS='$hosts' RANK=$rank" &
    pids+=($!)
    rank=$((rank + 1))
done

status=0
for pid in "${pids[@]}"; do
    wait "$pid" || status=$?
done
exit "$status"
