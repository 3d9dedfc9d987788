"""Is it as it should be? One question a check, by topic; each is a plain function of a Place.

    check.py         what a check is and what it finds: ok, warn, fail or unknown
    catalogue.py     all checks, in the order in which they are made
    run.py           makes them, each within a time limit in a child process
    child.py         the child process
    system.py        clock, processor, control groups, memory, load: what the machine's files say
    disk.py          room for checkpoints and data, and how fast it is
    driver.py        NVML, CUDA's libraries, what TensorFlow sees
    capability.py    whether the installed TensorFlow has code for the boards
    gpus.py          the boards at rest: errors, neighbours, modes, links
    kernels.py       whether kernels agree, and which would be used
    work.py          links, sums over replicas and clocks under load

No check raises: what it cannot know is unknown, and never ok. TensorFlow is loaded in child processes alone.
"""
