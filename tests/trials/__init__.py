"""Long experiments whose figures stand in docs/: `make trial` lists them, `python -m tests.trials.NAME --help` tells.

    kill         does a run that is killed again and again end in the same figures?        docs/reliability.md
    iterators    does training wait when the iterator of an epoch is given up?             docs/reliability.md
    endurance    do memory, files and speed stay where they are over 2,000 epochs?         docs/reliability.md
    convergence  do buckets of like length cost epochs?                                    docs/speed.md
    versions     is a training step of one version faster than another's?                  docs/speed.md
    recipes      what does each difference of the recipe modern bring?                     docs/recipes.md
    threshold    what does the beam's threshold cost and save?                             docs/evaluation.md
    search       is our beam search as good as flashlight-text's and pyctcdecode's?        docs/evaluation.md
    judging      does the judge say the truth about 1,170 runs of others?                  docs/judging.md
    choosing     does benchmark.choose take the right rig, and are its probabilities true? docs/judging.md
    guard        how often does the guard of convergence mark honest runs, and cheats?     docs/judging.md
    saturation   what do studies of data show of curves that are known?                    docs/saturation.md
    streaming    what does it cost to train straight from the audio, in time and memory?   docs/speed.md
    whisper      how fast is our Whisper against Hugging Face's and faster-whisper?          docs/whisper.md
    machines     what do many machines bring, and what does a step cost between hosts?     docs/machines.md
    estimate     does a run take what an estimate of a minute foretold?                     docs/rig.md
    tune         does a tuned batch train an epoch with its evaluation?                     docs/rig.md
    scale        do planning, merging and opening hold at 30 million utterances?             docs/machines.md
    gpu          is what the suite does on a GPU right, and how fast is it?                 docs/gpu.md
    distributions  do the README's two commands work on a bare system, from nothing?       docs/results.md
    bigram       a bigram language model of a corpus's transcripts                         docs/evaluation.md

They are no tests: pytest does not collect them, and they take minutes to hours.
"""
