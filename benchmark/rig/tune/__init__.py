"""Which batch, readers and buffer a platform should have: found by trying, as preliminary experiments would.

search.py    the largest batch that fits, by tries that each may fail
race.py      which of a few is fastest, in turns, until it is certain
attempt.py   the child process of a try, or of a contestant
advice.py    which batch has the best time to accuracy, by reference runs
tries.py     tries and contestants as child processes, and what their endings mean
kept.py      what was found so far, on disk, so that a tuning that was stopped goes on
written.py   the platform file with new settings beside the old ones; curve.csv and curve.svg
"""
