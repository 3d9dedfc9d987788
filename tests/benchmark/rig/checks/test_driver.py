from pathlib import Path
from types import SimpleNamespace

import pytest
from standin import compiler, library

from benchmark.rig.boards import Fact
from benchmark.rig.checks import driver
from benchmark.rig.checks.capability import Build
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Place

NOT_FOUND = "NVML: NVML Shared Library Not Found"
LIBRARIES = {"cudart": "12", "cublas": "12", "cufft": "11", "cusparse": "12", "cusolver": "11", "cudnn": "9"}
VERSIONS = {
    "libcudart": "int cudaRuntimeGetVersion(int *v) { *v = 12050; return 0; }",
    "libcublas": "int cublasGetProperty(int k, int *v) { *v = k == 0 ? 12 : k == 1 ? 5 : 3; return 0; }",
    "libcudnn_graph": "unsigned long cudnnGetVersion(void) { return 90300; }",
    "libnccl": "int ncclGetVersion(int *v) { *v = 22707; return 0; }",
}


def on_the_bus(root: Path, *vendors: str) -> Place:
    for number, vendor in enumerate(vendors):
        device = root / f"sys/bus/pci/devices/0000:0{number}:00.0"
        device.mkdir(parents=True)
        (device / "vendor").write_text(vendor)
        (device / "class").write_text("0x030200")
    return Place(root=root, why_no_nvml=NOT_FOUND)


def test_a_board_without_a_driver_is_a_failure_and_no_board_is_unknown(tmp_path):
    found = driver.nvml(on_the_bus(tmp_path / "with", "0x10de"))
    assert found.status == FAIL and found.found == f"0000:00:00.0: NVIDIA's, and {NOT_FOUND}"
    assert driver.nvml(on_the_bus(tmp_path / "without")).status == UNKNOWN
    other = driver.nvml(on_the_bus(tmp_path / "amd", "0x1002"))
    assert other.status == UNKNOWN and "built for no other" in other.found


def test_a_driver_that_is_there_and_does_not_answer_is_not_taken_for_no_gpu(tmp_path):
    """As after an update without a restart, in a container that shows no PCI bus."""
    place = Place(root=tmp_path, why_no_nvml="NVML: RM has detected an NVML/RM version mismatch.")
    assert driver.nvml(place).status == FAIL and "restart" in driver.nvml(place).way_out


def test_a_board_that_fell_off_the_driver_but_not_off_the_bus(tmp_path, monkeypatch):
    place = on_the_bus(tmp_path, "0x10de", "0x10de")
    monkeypatch.setattr(driver, "driver", lambda _: Fact("580.95.05", "NVML"))
    for listed, status in ((1, FAIL), (2, OK), (3, OK)):
        monkeypatch.setattr(driver, "count", lambda _, listed=listed: Fact(listed, "NVML"))
        assert driver.nvml(place).status == status


@pytest.mark.parametrize(("has", "status"), [((13, 0), OK), ((12, 5), OK), ((12, 2), WARN), ((11, 8), FAIL)])
def test_what_a_driver_runs_against_what_the_wheel_is_built_with(monkeypatch, tmp_path, has, status):
    monkeypatch.setattr(driver, "folder", lambda: tmp_path)
    monkeypatch.setattr(driver, "built", lambda _: Build(cuda="12.5.1"))
    monkeypatch.setattr(driver, "cuda_version", lambda _: Fact(has, "NVML"))
    assert driver.cuda(Place(why_no_nvml="none")).status == status


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    """A TensorFlow with the libraries of its packages beside it, as pip puts them."""
    if compiler() is None:
        pytest.skip("no C compiler is here")
    monkeypatch.setattr(driver, "folder", lambda: tmp_path / "site" / "tensorflow")
    monkeypatch.setattr(driver, "built", lambda _: Build(cuda="12.5.1", libraries=LIBRARIES))
    monkeypatch.setattr(driver, "count", lambda _: Fact(1, "NVML"))
    for name, of in driver.LIBRARIES.items():
        code = VERSIONS.get(name, "int nothing;")
        library(tmp_path / "site/nvidia/all/lib" / f"{name}.so.{LIBRARIES.get(of, of)}", code)
    return tmp_path / "site/nvidia/all/lib"


def place_with(*folders: Path) -> Place:
    return Place(why_no_nvml="none", environ={"LD_LIBRARY_PATH": ":".join(map(str, folders))})


def test_libraries_tell_their_versions(wheel):
    found = driver.libraries(place_with())
    assert found.status == OK
    for told in ("cudart 12.5", "cublas 12.5.3", "cudnn_graph 9.3.0", "nccl 2.27.7"):
        assert told in found.found.split(", "), found.found


def test_a_broken_library_on_the_path_is_named_with_its_folder(wheel, tmp_path):
    """The loader takes the first file of a name, whatever it is, and looks no further."""
    (tmp_path / "path").mkdir()
    (tmp_path / "path/libcudart.so.12").write_text("not a library\n" * 10)
    found = driver.libraries(place_with(tmp_path / "none", tmp_path / "path"))
    assert found.status == FAIL
    assert f"{tmp_path}/path/libcudart.so.12: invalid ELF header" in found.found


def test_a_library_that_takes_the_place_of_the_wheels_is_told(wheel, tmp_path):
    library(tmp_path / "path/libcudnn.so.9", "int other;")
    found = driver.libraries(place_with(tmp_path / "path"))
    assert found.status == WARN
    assert found.found == f"{tmp_path}/path/libcudnn.so.9 takes the place of {wheel}/libcudnn.so.9"


def test_missing_libraries_fail_with_a_gpu_and_are_unknown_without(wheel, monkeypatch):
    for path in wheel.glob("libnccl*"):
        path.unlink()
    assert driver.libraries(place_with()).found == "not there: libnccl.so.2"
    monkeypatch.setattr(driver, "count", lambda _: Fact(why_not=NOT_FOUND))
    assert driver.libraries(place_with()).found == "no GPU, and 14 of 15 are here"


@pytest.fixture
def seen(monkeypatch):
    """What driver.tensorflow says where TensorFlow, CUDA and NVML see so many GPUs."""

    def ask(tensorflow: int, cuda: int, nvml: int | None, *, mig: bool = False, **environ: str):
        config = SimpleNamespace(list_physical_devices=lambda _: [None] * tensorflow)
        tf = SimpleNamespace(__version__="2.21.0", config=config)
        monkeypatch.setattr("features.jobs.process.import_tensorflow", lambda: tf)
        monkeypatch.setattr(driver, "cuda_boards", lambda: ("0000:01:00.0",) * cuda)
        monkeypatch.setattr(driver, "count", lambda _: Fact(nvml, "NVML") if nvml else Fact(why_not=NOT_FOUND))
        monkeypatch.setattr(driver, "boards", lambda *_: [{"mig": Fact(mig, "NVML")}])
        return driver.tensorflow(Place(why_no_nvml="none", environ=environ))

    return ask


def test_tensorflow_sees_what_nvml_sees_less_what_is_hidden(seen):
    assert seen(0, 0, None).status == OK and "for the CPU" in seen(0, 0, None).found
    assert seen(4, 4, 4).status == OK and seen(4, 4, 4).found == "TensorFlow 2.21.0 sees 4 GPUs, CUDA 4, NVML 4"
    hidden = seen(2, 2, 4, CUDA_VISIBLE_DEVICES="0,1")
    assert hidden.status == OK and "CUDA_VISIBLE_DEVICES='0,1' shows 2 of NVML's 4" in hidden.found
    assert seen(0, 0, 4, CUDA_VISIBLE_DEVICES="").status == WARN
    assert seen(1, 1, 2, mig=True).status == OK  # of parts a process sees one


def test_tensorflow_without_its_libraries_and_cuda_without_a_board(seen):
    without = seen(0, 4, 4)
    assert without.status == FAIL and "driver.libraries" in without.way_out
    assert seen(1, 2, 4, CUDA_VISIBLE_DEVICES="0,1").status == FAIL
    lost = seen(3, 3, 4)
    assert lost.status == FAIL and "gpus.lost" in lost.way_out


def test_a_tensorflow_that_does_not_load(monkeypatch):
    def broken():
        raise ImportError("libstdc++.so.6: version `GLIBCXX_3.4.30' not found\nand more")

    monkeypatch.setattr("features.jobs.process.import_tensorflow", broken)
    found = driver.tensorflow(Place(why_no_nvml="none"))
    assert found.status == FAIL and found.found.endswith("`GLIBCXX_3.4.30' not found")
