"""Where a run stands, and what comes next.

progress.py     a pure state machine over the journal's rows
checkpoints.py  weights and optimiser on disk
resume.py       which run a command goes on with
"""
