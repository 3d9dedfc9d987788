"""The report: one HTML page that holds everything about some runs, for people who would rather look than read a CSV.

    python -m benchmark.report results/*.csv -o report.html

    write_report([read_run(path) for path in paths], Path("report.html"))

    document.py     the whole page: sections, answers, warnings
    tiles.py        which rig is soonest, what it costs, which is cheapest, how certain that is
    rigs.py         what each platform is
    recipes.py      what software bought, and hardware that would do the same
    figures.py      what a figure is, and time to accuracy
    curves.py       loss and errors over time
    by_platform.py  of many runs: a row, or a median and a band, for every platform
    merits.py       whose merit a difference is: steps, seconds a step, the rest
    profiles.py     how near each platform is to the best over many levels
    panels.py       throughput and phases over time
    hosts.py        how long each of several machines took by itself
    energy.py       what GPU boards took until a level, against time
    usage.py        how busy the machine was
    tradeoffs.py    cost against time, batch size against epochs
    appendix.py     published tables, sentences, how each run was made
    page.py         the HTML, from page.html by Jinja2

Nothing is measured or judged here: `benchmark.judge` groups the runs, and the figures are plain data. Runs of
different workloads, and emulated and real ones, stand in sections of their own and are never ranked together. Runs of
one platform that differ in what must agree are kept apart, as by --by, and the page says so. TensorFlow is not needed.
"""

from benchmark.report.document import report, write_report

__all__ = ("report", "write_report")
