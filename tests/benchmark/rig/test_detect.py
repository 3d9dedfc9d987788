"""The platform file of made-up machines loads, says where its values are from, and is never a surprise."""

import json
import os
import subprocess
import sys
import tomllib
from datetime import date
from pathlib import Path

import pytest
import trees
from hypothesis import given, settings
from hypothesis import strategies as st
from standin import asked

import platforms
from benchmark.rig import detect
from benchmark.rig.__main__ import main
from benchmark.rig.gpus import Gpu, Gpus, Link
from benchmark.rig.host import FACTS
from benchmark.rig.place import Fact
from benchmark.rig.platform_file import Rig, platform_text

DETECTED = """
import contextlib, io
from benchmark.rig.__main__ import main
folder, *cases = given
answers = []
for number, (variables, arguments) in enumerate(cases):
    for name in [name for name in os.environ if name.startswith(("CUDA_", "STANDIN"))]:
        del os.environ[name]
    os.environ.update(variables)
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        status = main(["detect", "-o", f"{folder}/m{number}.toml", "--seconds", "0", "--data", folder, *arguments])
    answers.append([status, out.getvalue(), err.getvalue()])
print(json.dumps(answers))
"""
MACHINES = ("four-rtx-2070", "h200", "b200", "reversed")
MIG = {"STANDIN": "h200", "STANDIN_MIG": "1", "CUDA_VISIBLE_DEVICES": "MIG-d0000000-5555-6666-7777-888888888881"}
CASES = [
    *({"STANDIN": name} for name in MACHINES),
    *({"STANDIN": name, "STANDIN_IDLE": "1"} for name in MACHINES),
    *({"STANDIN_LOST": str(index)} for index in range(4)),
    {"CUDA_VISIBLE_DEVICES": "3,1"},
    {"CUDA_VISIBLE_DEVICES": "GPU-c0000000"},
    {"CUDA_VISIBLE_DEVICES": ""},
    MIG,
]
"""Every machine of the stand-ins, whole, asleep, with a lost board, hidden and partitioned."""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Have the command find a machine of made-up files, and no GPU; return how to call it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(detect.machine, "cuda_devices", lambda: ())

    def call(files, *arguments):
        place = trees.root(tmp_path / "root", files)
        monkeypatch.setattr(detect.Place, "here", classmethod(lambda cls: place))
        return main(["detect", "-o", "mine.toml", "--seconds", "0", *arguments])

    return call


def test_the_file_of_every_machine_loads(nvidia, tmp_path):
    answers = asked(DETECTED, nvidia, str(tmp_path), *([case, []] for case in CASES))
    for number, (case, (status, out, err)) in enumerate(zip(CASES, answers, strict=True)):
        assert (status, err) == (0, ""), case
        platform = platforms.load(tmp_path / f"m{number}.toml")
        assert platform.name == f"m{number}" and platform.price is None and "Next: " in out
        assert platform.hardware.gpus == len(platform.hardware.links)
        assert platform.input.batch == 16 * max(1, platform.hardware.gpus)


def test_the_four_unlike_boards_of_the_papers_first_rig(nvidia, tmp_path):
    [(status, out, _)] = asked(DETECTED, nvidia, str(tmp_path), [{"STANDIN": "four-rtx-2070"}, []])
    hardware = platforms.load(tmp_path / "m0.toml").hardware
    assert status == 0
    assert (hardware.gpus, hardware.gpu, hardware.gpu_memory_gib) == (4, "NVIDIA GeForce RTX 2070", 8)
    text = (tmp_path / "m0.toml").read_text()
    assert "not seen under load: --seconds 0" in text and "gpus = 4 # CUDA shows this process so many, of 4" in text
    assert "# [price]" in text and "\n[price]" not in text
    assert text.count("# Note: GPU ") == 3 and "# Note: the GPUs' links are unlike" in text
    assert " ".join(out.split()).count("a riser, a loose board, or a slot whose lanes are shared") == 3


def test_unlike_models_are_both_named_and_the_lesser_memory_counts(nvidia, tmp_path):
    asked(DETECTED, nvidia, str(tmp_path), [{"STANDIN": "reversed"}, []])
    hardware = platforms.load(tmp_path / "m0.toml").hardware
    assert hardware.gpu == "1 x Tesla V100-SXM2-32GB + 1 x NVIDIA GeForce GT 1030"
    assert (hardware.gpu_memory_gib, hardware.links[0]) == (2, "PCIe 3.0 x16, 6 NVLinks")


def test_json_has_every_value_with_its_source_or_the_reason(nvidia, tmp_path):
    [(status, out, _)] = asked(DETECTED, nvidia, str(tmp_path), [{"STANDIN_LOST": "1"}, ["--format", "json"]])
    found = json.loads(out)
    assert status == 0 and found["written"] == str(tmp_path / "m0.toml") and found["next"].startswith("Next: ")
    assert found["facts"]["gpus"] == {
        "value": 3, "source": "CUDA shows this process so many, of 4 that NVML lists", "why_not": ""
    }  # fmt: skip
    assert all(bool(fact["source"]) != bool(fact["why_not"]) for fact in found["facts"].values())
    assert any("GPU 1 of 4" in remark for remark in found["remarks"])


def test_without_gpus_it_is_a_platform_of_the_processor(here, tmp_path, capsys):
    assert here(trees.machine(sockets=2, cores=6, threads=2, name="Intel(R) Xeon(R) E5-2630 v2", gib=128)) == 0
    platform = platforms.load(tmp_path / "mine.toml")
    assert platform.hardware == platforms.Hardware(
        gpus=0, cpu="2x Intel(R) Xeon(R) E5-2630 v2", logical_cores=24, ram_gib=128
    )
    assert platform.input == platforms.Input(batch=16, readers=16, buffer=8)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 100
    assert out.splitlines()[0].split() == ["field", "value", "source,", "or", "the", "reason", "why", "not"]
    assert "python -m benchmark --platform ./mine.toml" in " ".join(out.split())


def test_a_price_that_is_filled_in_and_freed_of_its_marks_counts(here, tmp_path):
    assert here(trees.machine()) == 0
    lines = (tmp_path / "mine.toml").read_text().splitlines()
    given = {"total": "900.00", "gpus": "0.00", "cpu": "300.00", "currency": '"EUR"', "date": '"2026-01"',
             "source": '"a shop"', "storage_included": "false"}  # fmt: skip
    freed = [line.removeprefix("# ") if line == "# [price]" else line for line in lines]
    for place, line in enumerate(freed):
        for key, value in given.items():
            if line.startswith(f"# {key} = "):
                freed[place] = f"{key} = {value} #{line.partition('#')[2].partition('#')[2]}"
    (tmp_path / "mine.toml").write_text("\n".join(freed))
    price = platforms.load(tmp_path / "mine.toml").price
    assert (price.total, price.cpu, price.currency, price.rent_per_hour) == (900, 300, "EUR", None)


@pytest.mark.parametrize("version", [1, 2])
def test_in_a_container_of_half_a_core_and_2_gib(here, tmp_path, capsys, version):
    assert here({**trees.machine(cores=8, gib=32), **trees.HALF_A_CORE[version]}) == 0
    platform = platforms.load(tmp_path / "mine.toml")
    assert (platform.hardware.logical_cores, platform.hardware.ram_gib, platform.input.readers) == (8, 2, 1)
    out = " ".join(capsys.readouterr().out.split())
    assert "of 8 logical cores this process may keep 1 busy (the control groups' limit of CPU time, 0.5 cores" in out
    assert "of the memory this process may use 2.0 GiB (the control groups' limit of memory" in out


def test_under_wsl_and_on_arm(here, tmp_path):
    cpuinfo = "".join(trees.ARM.format(n=n) for n in range(4))
    version = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@1)\n"
    assert here({"/proc/cpuinfo": cpuinfo, "/proc/version": version}) == 0
    assert 'cpu = "Arm Neoverse-N1" # /proc/cpuinfo' in (tmp_path / "mine.toml").read_text()
    assert "#   wsl = WSL 2 # /proc/version" in (tmp_path / "mine.toml").read_text()


def test_what_is_not_known_is_left_out_with_the_reason(here, tmp_path):
    assert here({}) == 0
    assert platforms.load(tmp_path / "mine.toml").hardware == platforms.Hardware(gpus=0)
    assert "# ram_gib is not known: /proc/meminfo: No such file or directory" in (tmp_path / "mine.toml").read_text()


def test_gpus_without_a_driver_are_not_taken_for_none(here, tmp_path, capsys):
    gpu = {
        f"/sys/bus/pci/devices/0000:01:00.0/{name}": text for name, text in (("vendor", "0x10de"), ("class", "0x0302"))
    }
    assert here({**trees.machine(), **gpu}) == 2
    [said] = capsys.readouterr().err.splitlines()
    assert "1 NVIDIA GPUs are on the bus" in said and "doctor says more" in said and "--cpu" in said
    assert not (tmp_path / "mine.toml").exists()
    assert here({**trees.machine(), **gpu}, "--cpu") == 0
    assert platforms.load(tmp_path / "mine.toml").hardware.gpus == 0


@pytest.mark.parametrize("name", ["", "NVIDIA H200"])
def test_a_machine_with_gpus_of_which_too_little_is_known_says_what_to_fill_in(
    here, tmp_path, capsys, monkeypatch, name
):
    device = platforms.machine.CudaDevice("0000:01:00.0", name, 141 * 2**30)
    monkeypatch.setattr(detect.machine, "cuda_devices", lambda: (device,))
    assert here({}) == 0
    said = " ".join(capsys.readouterr().out.split())
    tomllib.loads((tmp_path / "mine.toml").read_text())
    if name:  # processor, cores and memory are not known, and nothing needs them
        assert platforms.load(tmp_path / "mine.toml").hardware.cpu is None and "cannot be used before" not in said
        return
    assert "the file cannot be used before it is filled in: [hardware] gpu is missing" in said
    with pytest.raises(platforms.PlatformError, match="gpu is missing"):
        platforms.load(tmp_path / "mine.toml")


def test_names_that_no_file_may_hold_are_written_as_text(here, tmp_path):
    assert here(trees.machine(name='A "B" \\ \x1b[31m \x85 C = é')) == 0
    assert platforms.load(tmp_path / "mine.toml").hardware.cpu == 'A "B" \\ [31m C = é'


TEXT = st.text(min_size=1, max_size=400)
UNKNOWN = st.builds(lambda why: Fact(why_not=why), TEXT)
WORDS = UNKNOWN | st.builds(Fact, TEXT, TEXT)
COUNT = UNKNOWN | st.builds(Fact, st.integers(1, 4096), TEXT)
SIZE = UNKNOWN | st.builds(Fact, st.floats(0.5, 1e5), TEXT)
LINK = st.builds(
    Link, gen=COUNT, width=COUNT, most_gen=COUNT, most_width=COUNT, nvlinks=st.integers(0, 18), no_load=TEXT
)
GPU = st.builds(Gpu, number=st.just(0), index=st.just(0), pci=TEXT, name=WORDS, memory_gib=SIZE, nvlinks=COUNT)
OF_COUNTS = ("sockets", "physical_cores", "logical_cores", "affinity", "usable_cores", "numa_nodes")
OF_SIZES = ("ram_gib", "cpu_quota", "frequency_mhz")


@st.composite
def rigs(draw):
    kinds = {**dict.fromkeys(FACTS, WORDS), **dict.fromkeys(OF_COUNTS, COUNT), **dict.fromkeys(OF_SIZES, SIZE)}
    shown = tuple(draw(st.lists(GPU, max_size=3)))
    found = Gpus(shown=shown, count=draw(COUNT), remarks=tuple(draw(st.lists(TEXT, max_size=2))), why_none=draw(TEXT))
    links = [draw(LINK) for _ in shown]
    host = {name: draw(kind) for name, kind in kinds.items()}
    return Rig(host=host, storage={"storage": draw(WORDS), "free_gib": draw(SIZE)}, gpus=found, links=links)


@settings(max_examples=60)
@given(rigs())
def test_whatever_a_machine_says_of_itself_the_file_is_toml_and_loads_or_says_what_is_missing(rig):
    command, remarks = "make bench PLATFORM=mine", rig.gpus.remarks
    text = platform_text("mine", rig, command=command, today=date(2026, 1, 31), remarks=remarks)
    keys = tomllib.loads(text)
    known = {name for name, fact in rig.hardware.items() if fact.known}
    assert known | {"links"} == set(keys["hardware"]) | {"links"}
    missing = detect._missing(text)
    assert bool(missing) == (bool(rig.gpus.shown) and not {"gpu", "gpu_memory_gib"} <= known), missing
    assert len(text.encode()) < platforms.LARGEST_BYTES


def test_broken_libraries_on_the_path_are_no_traceback(tmp_path):
    """libcuda.so.1 and libnvidia-ml.so.1 that are no libraries, as half an installation leaves them."""
    for name in ("libcuda.so.1", "libnvidia-ml.so.1"):
        (tmp_path / name).write_bytes(b"not a library")
    command = [sys.executable, "-m", "benchmark.rig", "detect", "-o", str(tmp_path / "mine.toml"), "--seconds", "0"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    environment.pop("CUDA_VISIBLE_DEVICES", None)
    done = subprocess.run(
        command, cwd=Path(detect.__file__).parents[2], env=environment, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr
    if done.returncode == 2:  # a machine with GPUs, which are not taken for none
        assert done.stderr.count("\n") == 1 and "cannot be used" in done.stderr
    else:
        assert platforms.load(tmp_path / "mine.toml").hardware.gpus == 0 and "NVML: " in done.stdout


def test_nothing_is_overwritten_without_force(here, tmp_path, capsys):
    (tmp_path / "mine.toml").write_text("my own")
    assert here(trees.machine()) == 2
    assert "mine.toml is there already" in capsys.readouterr().err
    assert (tmp_path / "mine.toml").read_text() == "my own"
    assert here(trees.machine(), "--force") == 0
    assert platforms.load(tmp_path / "mine.toml").name == "mine"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no name"),
        (["a b"], "the name is 'a b'; expected letters"),
        (["../up"], "the name is '../up'"),
        (["mine", "-o", "yours.toml"], "expected mine.toml"),
        (["-o", "mine.txt"], "expected a file that ends in .toml"),
        (["-o", "."], "is a folder, and no name is given"),
        (["mine", "-o", "none/"], "there is no folder none"),
        (["cpu"], "is there already"),
        (["mine", "--seconds", "nan"], "expected seconds"),
        (["mine", "--seconds", "-1"], "expected seconds"),
    ],
)
def test_wrong_arguments_are_refused_in_a_line(capsys, monkeypatch, arguments, said):
    monkeypatch.setattr(detect.Place, "here", lambda: pytest.fail("it looked at the machine first"))
    before = set(platforms.FOLDER.iterdir())
    try:
        status = main(["detect", *arguments])
    except SystemExit as stopped:
        status = stopped.code
    assert status == 2 and said in capsys.readouterr().err.splitlines()[-1]
    assert set(platforms.FOLDER.iterdir()) == before


def test_of_an_installed_package_the_file_is_written_here(here, tmp_path, monkeypatch):
    assert detect._folder() == platforms.FOLDER
    monkeypatch.chdir(platforms.FOLDER.parent)
    assert str(detect._folder()) == "platforms" and detect._called("mine", Path("platforms/mine.toml")) == "mine"
    monkeypatch.setattr(platforms, "FOLDER", tmp_path / "site" / "platforms")
    assert str(detect._folder()) == "."
    assert detect._called("mine", detect._folder() / "mine.toml") == "./mine.toml"


def test_a_place_that_cannot_be_written_to_is_refused_in_a_line(here, tmp_path, capsys, monkeypatch):
    def full(path, text):
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(detect, "write_whole", full)
    assert here(trees.machine()) == 2
    assert "mine.toml: cannot be written (No space left on device)" in capsys.readouterr().err
