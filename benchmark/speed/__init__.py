"""How fast each part of the suite is, against what a user would pick instead: python -m benchmark.speed.

    contest.py    contenders are processes kept alive and asked in turn; rounds, ratios, clean-up
    child.py      a contender's process: prepares its work, then answers each line that it reads by one
    results.py    Result, the table, the JSON file, the machine in words
    limits.py     what the hardware can do: matrix products, reading bytes
    step.py reading.py extraction.py decoding.py start.py judge.py overhead.py padding.py    the parts, one each
    ctc.py tta.py scaling.py breakdown.py    further parts, measured only when asked for
    sizes.py networks.py       the model's sizes; the training step as ours, as Keras's and as PyTorch's
    trainings.py pytorch.py curve.py    whole trainings, ours and a plain PyTorch program's; epochs to a level of error

The suite's own waste would be charged to the rig that it measures. Absolute times depend on the machine and on what
else it does; a ratio of two that were measured in turn, round after round, holds on a noisy machine too.
"""
