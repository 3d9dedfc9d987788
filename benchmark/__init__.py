"""Run and judge: a time-to-accuracy benchmark of speech-recognition training.

Rooms:

    record/   one run on disk: what it did, how it was made, how it ended, how busy the machine was
    run/      one training on this machine, from preparing its data to its last evaluation; writes a record
    judge/    what records say: time to accuracy, which runs may be pooled, how rigs compare, what a training costs
    report/   one HTML page about some runs
    export/   runs in the formats of others
    speed/    how fast each part of the suite is, beside what one would pick instead

Doors, which parse a command line, ask a room and show what it says: __main__.py (python -m benchmark), tta.py,
compare.py, price.py, final.py, and the __main__.py of report, export and speed. cli.py is their frame.

workloads.py says what is learnt, tables.py how tables look.
"""
