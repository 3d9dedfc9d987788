"""Run and judge: a time-to-accuracy benchmark of speech-recognition training.

Rooms:

    record/   one run on disk: what it did, how it was made, how it ended, how busy the machine was
    run/      one training on this machine, from preparing its data to its last evaluation; writes a record
    judge/    what records say: time to accuracy, which runs may be pooled, how rigs compare, what a training costs
    report/   one HTML page about some runs
    export/   writes runs in the formats of other benchmarks
    speed/    how fast each part of the suite is, compared with the usual alternative

Doors parse a command line, ask a room and show its answer: __main__.py (python -m benchmark), tta.py, compare.py,
price.py, final.py, and the __main__.py of report, export and speed. They share cli.py.

workloads.py defines what is learnt; tables.py prints tables.
"""
