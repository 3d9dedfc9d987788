"""Run and judge: a time-to-accuracy benchmark of speech-recognition training.

Rooms:

    record/   one run on disk: what it did, how it was made, how it ended, how busy the machine was
    run/      one training on this machine, from preparing its data to its last evaluation; writes a record
    judge/    what records say: time to accuracy, which runs may be pooled, how rigs compare, what a training costs
    report/   one HTML page about some runs
    export/   writes runs in the formats of other benchmarks
    speed/    how fast each part of the suite is, compared with the usual alternative

Doors parse a command line, ask a room and show its answer: __main__.py (python -m benchmark), tta.py, compare.py,
price.py, final.py, and the __main__.py of report, export and speed. They share cli.py. console.py is the script
`speech-tta`, which calls them by name.

metrics.py defines error figures, evaluations.py the modes of evaluation; workloads/ defines what is learnt; tables.py
prints tables.
"""

import sys
from pathlib import Path

# `python -m` puts the user's folder first, where a folder `models` or `features` would be taken for ours.
_HOUSE = str(Path(__file__).resolve().parent.parent)
if sys.path[0] != _HOUSE:
    sys.path.insert(0, _HOUSE)

from features.jobs.missing import explain as _explain_missing  # noqa: E402

_explain_missing()
