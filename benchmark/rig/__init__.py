"""What this machine is, and whether it is what its owner thinks; every command answers without a GPU too.

    place.py     where facts are read: a root for /proc and /sys, NVML, the environment; and what a Fact is
    boards.py    the GPUs as NVML knows them: memory, links, NVLink, capability
    doctor.py    is anything wrong with it? The command; its questions stand in checks/
    load.py      copies or matrix products on every GPU, in a child process: links and clocks fall at idle

TensorFlow is loaded in child processes alone.
"""
