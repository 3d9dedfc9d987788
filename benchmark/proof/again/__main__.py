"""Read a request from standard input and print results, a JSON object a line."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def main() -> int:
    from concurrent.futures.process import BrokenProcessPool

    from benchmark.run.state.checkpoints import CheckpointError

    request = json.load(sys.stdin)
    out = os.fdopen(os.dup(1), "w")  # results alone: what libraries print goes to standard error
    os.dup2(2, 1)
    try:
        for found in _results(request):
            print(json.dumps(found), file=out, flush=True)
    except CheckpointError as error:
        print(json.dumps({"broken": str(error).splitlines()[0]}), file=out, flush=True)
    except (ValueError, ArithmeticError, OSError, BrokenProcessPool) as error:
        why = (str(error).splitlines() or [type(error).__name__])[0]
        print(json.dumps({"cannot": why}), file=out, flush=True)
    return 0


def _results(request: dict):
    folder, corpus, jobs = Path(request["folder"]), Path(request["corpus"]), request["jobs"]
    if request["what"] == "weights":
        from benchmark.proof.again.weights import evaluated_again

        return evaluated_again(folder, corpus, request["steps"], jobs=jobs)
    from benchmark.proof.again.epoch import trained_again

    return trained_again(folder, corpus, request["epoch"], step=request["step"], jobs=jobs)


if __name__ == "__main__":
    sys.exit(main())
