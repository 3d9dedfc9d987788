"""What a run would take, before it is made: seconds an epoch from minutes of timed pieces, times the epochs it needs.

probe.py     the child process that builds the run and times its pieces
measured.py  what it found, and how many seconds an epoch that makes
work.py      how many of every phase an epoch has, by the plan and the state machine of a run
epochs.py    how many epochs a level takes, by runs of the reference
costs.py     what that costs, bought and rented
page.py      the answer in words and tables
child.py     a process that is given a job, says lines of JSON, and may hang or be killed
asked.py     a run's options as the job of a probe
"""
