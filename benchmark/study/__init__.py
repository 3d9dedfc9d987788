"""Studies of data: how error falls with the size of the training set, and when more of it is not worth it.

    grid.py        which runs a study has: sizes, seeds, protocols
    kind.py        what a study is: in what its points must agree; study.json
    making.py      makes those that are missing, each in a process of its own
    results.py     what they came to, and which are points of another study
    finals.py      the rows of their final evaluations that count
    curves.py      learning curves and their uncertainty
    saturation.py  from which size more data is not worth it; the sources' formulas
    sentence.py    the answer, in one sentence
    judgement.py   the answer, in paragraphs and tables
    worth.py       what a point of an arm is worth in data of the plain runs
    machines.py    what runs took on each machine, where there are several
    money.py       what further speech, further training or a larger rig would gain
    proxy.py       the smallest part of the data that puts rigs in the order that all of it does
    page.py        the same as a page for a browser
    figures.py     the same as pictures for papers
    reference_runs.py  another study: the runs of the reference of convergence, and reference.csv made of them

A point is an ordinary run; everything here but making.py and reference_runs.py reads records.
"""
