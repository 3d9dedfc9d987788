"""What this machine is, and whether it is what its owner thinks; every command answers without a GPU too.

    place.py     where facts are read: a root for /proc and /sys, NVML, the environment; and what a Fact is
    host.py      the machine without its GPUs: processor, cores, memory, operating system
    storage.py   how fast shards are read, and from what
    boards.py    the GPUs as NVML knows them: memory, links, NVLink, capability
    gpus.py      the GPUs of a platform of this machine, what hides or breaks them, and their links under load
    platform_file.py  the text of a platform file
    detect.py    the command that writes one
    doctor.py    is anything wrong with it? The command; its questions stand in checks/
    tune/        which batch, readers and buffer a platform should have
    estimate/    what a run would take, before it is made
    load.py      copies or matrix products on every GPU, in a child process: links and clocks fall at idle

TensorFlow is loaded in child processes alone.
"""
