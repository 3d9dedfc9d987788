"""What goes on during training.

monitor.py     starts and ends sampler.py, which writes utilisation.csv
sampler.py     samples how busy the machine is
curves.py      starts and ends what writes TensorBoard's events
rapl.py        the energy of processors as Linux shows it
gpus.py        the machine's GPUs as NVML shows them
neighbours.py  looks for other load on the machine
interrupts.py  handles Ctrl-C, SIGTERM and SIGHUP
standing.py    tells within which rows the run stood still
host_watch.py  writes down how long each host took, and tells which is slow
busy.py        how busy the machine is just now
outlook.py     the next targets, and the time left by limits and by the trend
view.py        shows the run while it is under way
"""
