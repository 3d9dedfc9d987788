"""The files of docs/launch, which start runs on many machines: they parse, and what they name is there."""

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from benchmark import __main__ as benchmark
from benchmark.run.prepare.hosts import resolve
from features import __main__ as features

LAUNCH = Path(__file__).resolve().parents[1] / "docs" / "launch"
yaml = pytest.importorskip("yaml")


@pytest.mark.parametrize("path", sorted(LAUNCH.glob("*.sh")), ids=lambda path: path.name)
def test_scripts_are_bash_without_errors_and_say_how_they_are_started(path):
    assert subprocess.run(["bash", "-n", path], capture_output=True).returncode == 0
    text = path.read_text()
    assert text.startswith("#!/bin/bash\n# ") and f"docs/launch/{path.name}" in text and "set -euo pipefail" in text


def ssh(tmp_path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run ssh.sh with a stand-in for ssh, which writes the command that a machine would get."""
    (tmp_path / "ssh").write_text('#!/bin/sh\nprintf "%s: %s\\n" "$2" "$3"\n')
    (tmp_path / "ssh").chmod(0o755)
    path = f"{tmp_path}:{os.environ['PATH']}"
    return subprocess.run(
        ["bash", LAUNCH / "ssh.sh", *arguments],
        env={"PATH": path} | environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )


def test_ssh_gives_each_machine_its_rank_and_what_make_bench_takes(tmp_path):
    given = {"WORKLOAD": "librispeech", "SEED": "2", "ARGS": "--max-epochs 3 --name it's"}
    done = ssh(tmp_path, "./my rig.toml", "gpu1", "gpu2", **given)
    assert done.returncode == 0, done.stderr
    commands = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    for rank, machine in enumerate(("gpu1", "gpu2")):
        words = shlex.split(commands[machine])
        assert words[:5] == ["cd", str(tmp_path), "&&", "make", "bench"]
        assert words[5:] == [
            "PLATFORM=./my rig.toml",
            "HOSTS=gpu1:2222,gpu2:2222",
            f"RANK={rank}",
            *(f"{name}={value}" for name, value in given.items()),
        ]


def test_ssh_without_machines_says_what_it_takes(tmp_path):
    done = ssh(tmp_path, "./my-rig.toml")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1) and "two machines" in done.stderr


def test_the_training_job_of_slurm_has_one_task_a_machine_and_gives_the_signal_time():
    text = (LAUNCH / "slurm.sh").read_text()
    given = dict(re.findall(r"^#SBATCH --([\w-]+)=(\S+)$", text, re.MULTILINE))
    assert given["ntasks-per-node"] == "1" and given["signal"].startswith("TERM@")
    environ = {"SLURM_PROCID": "0", "SLURM_STEP_NODELIST": "gpu[1-2]", "SLURM_STEP_NUM_TASKS": given["nodes"]}
    assert resolve(machines=2, given=None, rank=None, environ=environ).count == 2


def test_the_parts_of_slurms_array_are_all_of_them():
    text = (LAUNCH / "slurm-features.sh").read_text()
    first, last = map(int, re.search(r"--array=(\d+)-(\d+)", text).groups())
    (count,) = re.findall(r'--part "\$SLURM_ARRAY_TASK_ID/(\d+)"', text)
    assert (first, last) == (1, int(count))
    command = text.replace("\\\n", " ").replace("$SLURM_ARRAY_TASK_ID", "3").replace("$SLURM_CPUS_PER_TASK", "8")
    words = shlex.split(command.splitlines()[-1])
    options = features._arguments(words[words.index("features") + 1 :])
    assert (options.part.number, options.part.count, options.jobs) == (3, 16, 8)


def test_kubernetes_gives_each_pod_the_rank_and_the_name_that_the_command_has():
    service, job = yaml.safe_load_all((LAUNCH / "kubernetes.yaml").read_text())
    assert service["kind"] == "Service" and service["spec"]["clusterIP"] == "None"
    spec = job["spec"]
    assert spec["completionMode"] == "Indexed" and spec["completions"] == spec["parallelism"]
    assert spec["template"]["spec"]["subdomain"] == service["metadata"]["name"]
    (container,) = spec["template"]["spec"]["containers"]
    words = shlex.split(container["args"][0].replace("$JOB_COMPLETION_INDEX", "1"))
    options = benchmark._parser().parse_args(words[words.index("benchmark") + 1 :])
    hosts = resolve(machines=spec["completions"], given=options.hosts, rank=options.rank, environ={})
    name = job["metadata"]["name"]
    assert hosts.addresses == tuple(f"{name}-{n}.{service['metadata']['name']}:2222" for n in range(2))
    assert {port["containerPort"] for port in container["ports"]} == {2222, hosts.control[1]}
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 20
