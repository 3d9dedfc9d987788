"""The checks of `tests.trials.gpu`, each in a process of its own, and what runs them.

    python -m tests.trials.on_gpu ctc.check '{"out": "results/gpu", "platform": "results/gpu/gpu.toml"}'

    catalogue.py   the checks in order of worth: name, question, limit, which function answers
    setting.py     what a check is given: folder, platform, sizes, whether it is a rehearsal
    findings.py    what a check says, line by line: what was expected, what was found, which command was given
    session.py     does one check after the other under its limit, and writes down what became of it
    page.py        results as a page of Markdown
    machine.py     the machine, and a platform file for its GPU
    start.py kernels.py ctc.py training.py memory.py speed.py suite.py     the checks
    hold.py        a process that holds a GPU's memory

A check is a function of a Setting and Findings. It returns when it is done, and raises what it cannot go on from: the
last line of its output is then told.
"""
