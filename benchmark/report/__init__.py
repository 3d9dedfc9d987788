"""The report: one HTML page that holds everything about some runs, for people who would rather look than read a CSV.

    python -m benchmark.report results/*.csv -o report.html

    html = document.report([journal.read(path) for path in paths], Question())

Nothing is measured or judged here: `benchmark.judge` groups the runs; here `figures`, `curves`, `panels`,
`usage` and `tradeoffs` turn them into figures, `page` into HTML that needs no network. Runs of different workloads,
and emulated and real ones, stand in sections of their own and are never ranked together. Runs of one platform that
differ in what must agree are kept apart, as by --by, and the page says so. TensorFlow is not needed.
"""
