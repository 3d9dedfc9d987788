"""Takes the logs of other suites in as runs, so that the judge can be put to them: the way back of benchmark.export.

mllog.py     MLPerf Training's logs of rnnt, and what benchmark.export --to mllog wrote
__main__.py  the command line: python -m benchmark.ingest LOGS -o results/
"""

from benchmark.ingest.mllog import IngestError, Log, read_log

__all__ = ("IngestError", "Log", "read_log")
