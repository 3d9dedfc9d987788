"""Do the tests of kernels pass that need a GPU? `pytest -k gpu tests/models` runs them."""

from __future__ import annotations

import os
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from tests.trials.on_gpu.findings import Findings
from tests.trials.on_gpu.machine import ROOT
from tests.trials.on_gpu.setting import Setting


def check(setting: Setting, findings: Findings) -> None:
    report = setting.out / "tests.xml"
    report.unlink(missing_ok=True)
    words = ["-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", "-k", "gpu", "tests/models"]
    findings.command(["python", *words])
    # Tests hide GPUs where the environment does not name some.
    visible = {"CUDA_VISIBLE_DEVICES": os.environ.get("CUDA_VISIBLE_DEVICES", "0")}
    subprocess.run([sys.executable, *words, f"--junitxml={report}"], cwd=ROOT, env={**os.environ, **visible})
    for case in ElementTree.parse(report).iter("testcase"):
        ill = next((child for child in case if child.tag in ("failure", "error", "skipped")), None)
        said = "passed" if ill is None else f"{ill.tag}: {(ill.get('message') or 'no message').splitlines()[0]}"
        findings.judged(case.get("name"), said, expected="passed", right=ill is None)
