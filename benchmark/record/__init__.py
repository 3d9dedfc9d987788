"""One run on disk: what it did, how it was made, how it ended, how busy the machine was.

run = read_run("results/RUN.csv")
run.record.time_to_accuracy_s("wer", 22.0), run.facts.platform.price, run.usage().energy().wh

phases.py      the phases of a run, and the plan of when each is due
clocks.py      the one clock of a run
arrays.py      NumPy, imported when the first array is made
short.py       columns of short journals, without NumPy
columns.py     the format of the journal: columns, what their values may be, version
table.py       reads a journal's rows, as columns
bulk.py        reads the numbers of long journals by Arrow's parser
journal.py     writes, resumes and reads the journal
history.py     figures computed from the journal: clocks, evaluations, time to accuracy, throughput
holes.py       refuses a journal from which rows are missing
facts.py       run.json: how the run was made
system.py      the machine by the keys of MLPerf's system description
command.py     the command that began a run, as its user would type it again
usage.py       utilisation.csv: how busy the machine was
energy.py      the energy of GPUs by its samples, and of what share of the run
meter.py       the log of a meter, matched with runs by the time of day
host_times.py  hosts.csv: how long each host of several took by itself
slowest.py     which host is slower than the others
stillness.py   time in which the run stood still
sentences.py   sentences.jsonl: references and hypotheses
hypotheses.py  hypotheses.jsonl: those of every utterance of every evaluation
finals.py      the final evaluations, each in files of its own
confusions.py  the commonest word errors of an evaluation
folder.py      the run's folder: lock, heartbeat, end.json
foretold.py    estimates: what was foretold of a run before it was made
run.py         all of these files in one object
"""

from benchmark.record.columns import POOLED, JournalError, Row
from benchmark.record.facts import Facts, FactsError
from benchmark.record.history import CLOCKS, RunRecord
from benchmark.record.run import Run, read_run
from benchmark.record.usage import UsageError

__all__ = (
    "CLOCKS",
    "POOLED",
    "Facts",
    "FactsError",
    "JournalError",
    "Row",
    "Run",
    "RunRecord",
    "UsageError",
    "read_run",
)
