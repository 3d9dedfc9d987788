#!/bin/bash
# Machines that are reached by ssh train together: docs/launch/ssh.sh ./my-rig.toml gpu1 gpu2
# or, as of make bench: WORKLOAD=librispeech SEED=2 ARGS="--max-epochs 3" docs/launch/ssh.sh ./my-rig.toml gpu1 gpu2
# The suite lies in a folder that all of them share, at the same path, and a key opens them.
set -euo pipefail

if [ $# -lt 3 ]; then
    echo "ssh.sh: $# of at least 3 words; expected a platform file and two machines: docs/launch/ssh.sh ./my-rig.toml gpu1 gpu2" >&2
    exit 2
fi
platform=$1
shift
hosts=$(printf '%s:2222,' "$@")
hosts=${hosts%,}

pids=()
trap 'kill "${pids[@]}" 2>/dev/null || true' EXIT
rank=0
for machine in "$@"; do
    # -tt: when this script ends, the machine's command gets SIGHUP, saves and ends too.
    words=(make bench "PLATFORM=$platform" "HOSTS=$hosts" "RANK=$rank")
    for name in WORKLOAD SEED ARGS; do
        [ -z "${!name:-}" ] || words+=("$name=${!name}")
    done
    ssh -tt "$machine" "cd $(printf %q "$PWD") && $(printf '%q ' "${words[@]}")" &
    pids+=($!)
    rank=$((rank + 1))
done

status=0
for pid in "${pids[@]}"; do
    wait "$pid" || status=$?
done
exit "$status"
