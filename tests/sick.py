"""Checks that do what no check should: hang, abort, raise, are killed; and two that are well."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from benchmark.rig.checks.check import ok


def well(place):
    return ok("well")


def hangs(place):
    time.sleep(600)


def hangs_with_a_child(place):
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    Path(os.environ["SICK_PID"]).write_text(f"{os.getpid()} {child.pid}")
    time.sleep(600)


def aborts(place):
    print("free(): invalid pointer", file=sys.stderr, flush=True)
    os.abort()


def is_killed(place):
    os.kill(os.getpid(), signal.SIGKILL)


def leaves(place):
    os._exit(7)


def raises(place):
    raise KeyError("of its\nown")


def says_much(place):
    sys.stderr.write("a line of a library\n" * 100_000)
    return ok("well")
