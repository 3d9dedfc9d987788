#!/bin/bash
# Sixteen machines extract the features of a corpus: sbatch docs/launch/slurm-features.sh
# A part that failed is given again alone: sbatch --array=7 docs/launch/slurm-features.sh. Then, once:
#   python -m features data/LibriSpeech data/features/librispeech --merge
#SBATCH --job-name=features
#SBATCH --array=1-16
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --time=02:00:00
set -euo pipefail

.venv/bin/python -m features data/LibriSpeech data/features/librispeech \
    --part "$SLURM_ARRAY_TASK_ID/16" --jobs "$SLURM_CPUS_PER_TASK"
