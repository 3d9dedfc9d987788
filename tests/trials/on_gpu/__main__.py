"""Do one check: python -m tests.trials.on_gpu MODULE.FUNCTION SETTING [ARGUMENT ...], as `catalogue` writes it.

Its findings go to the file that the variable FINDINGS of the environment names.
"""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.session import FINDINGS
from tests.trials.on_gpu.setting import Setting


def main() -> None:
    call, setting, *arguments = sys.argv[1:]
    module, function = call.split(".")
    check = getattr(import_module(f"tests.trials.on_gpu.{module}"), function)
    check(Setting.from_json(setting), Findings(Path(os.environ[FINDINGS])), *arguments)


if __name__ == "__main__":
    main()
