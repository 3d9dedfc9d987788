"""Takes the logs of other suites in as runs, so that the judge can be put to them: the way back of benchmark.export.

events.py    the lines of an MLPerf log
timeline.py  what was trained and evaluated, from when to when
numbers.py   of how many epochs an evaluation is
epochs.py    the rows of a journal
mllog.py     MLPerf Training's logs of rnnt, and what benchmark.export --to mllog wrote
points.py    what any other log says: its evaluations, and how its run was made
restarts.py  what a restarted run did twice
curves.py    any other log of times, steps and error rates, as a run
algoperf.py  AlgoPerf's logs of speech workloads
tabular.py   CSV and JSON lines
mapping.py   --map: which column is what
tensorboard.py  TensorBoard's event files
__main__.py  the command line: python -m benchmark.ingest LOGS -o results/
"""

from benchmark.ingest.events import IngestError
from benchmark.ingest.mllog import Log, read_log

__all__ = ("IngestError", "Log", "read_log")
