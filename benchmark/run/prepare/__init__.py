"""What a run is asked for, and what it needs before it trains.

asked.py       the options of a run, for every command that has them
job.py         what the command line asks for
data.py        finds the workload's features, or makes them
devices.py     a platform's replicas under tf.distribute
hosts.py       the machines of a run
trained.py     a run that has been trained: settings and checkpoints
language_models.py  a language model by path or name
task.py        what is trained, on which data, on which devices
system.py      finds out what machine it is, by the keys of MLPerf's system description
provenance.py  finds out how the run is made
"""
