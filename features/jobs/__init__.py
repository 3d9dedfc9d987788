"""What long work needs, whatever it is; nothing here knows of speech.

completion.py  what a shell completes of a command line
files.py     whole writes, digests, locks
process.py   TensorFlow without its log lines, memory that is kept
workers.py   worker processes
cluster.py   the workers of a Dask cluster
missing.py   a package that is not installed
parent.py    the process that began this one
parts.py     parts of a job for many machines
progress.py  progress bars
streams.py   standard output and error that survive a viewer who leaves
version.py   --version
wrong.py     what is wrong with a command line, in one line
"""
