#!/bin/bash
# Two machines train together: sbatch docs/launch/slurm.sh, in the suite's folder, which all machines share.
# The platform my-rig.toml has `machines = 2`; srun starts one process on each, which uses all its GPUs.
#SBATCH --job-name=speech-tta
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --exclusive
#SBATCH --time=24:00:00
#SBATCH --signal=TERM@120
set -euo pipefail

# NCCL finds the network by itself; where it takes the wrong one:
# export NCCL_SOCKET_IFNAME=ib0

srun --kill-on-bad-exit=1 make bench PLATFORM=./my-rig.toml WORKLOAD=librispeech SEED="${SEED:-1}"
