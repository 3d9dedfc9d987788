"""Which CUDA libraries a process has loaded, by stand-ins of two versions each; asked in child processes."""

from importlib import metadata

import pytest
from standin import CUDA_RUNTIME, CUDNN, asked, library

from platforms import loaded

LOADED = "from platforms.loaded import loaded_cuda\nimport ctypes\n"
AFTER_LOADING = LOADED + "keep = [ctypes.CDLL(path) for path in given]\nprint(json.dumps(loaded_cuda()))"


FRONT = "#include <stdlib.h>\nunsigned long cudnnGetVersion(void) { abort(); }"  # as cuDNN's without its parts


@pytest.fixture(scope="module")
def versions(nvidia, tmp_path_factory):
    """Two folders with a libcudart.so.12 and the libraries of cuDNN: CUDA 12.5 with cuDNN 9.3.0, 12.8 with 9.14.1."""
    folders = []
    for cuda, cudnn in ((12050, 90300), (12080, 91401)):
        folder = tmp_path_factory.mktemp(f"cudnn-{cudnn}")
        library(folder / "libcudart.so.12", CUDA_RUNTIME % cuda)
        library(folder / "libcudnn.so.9", FRONT)
        library(folder / "libcudnn_graph.so.9.1.2", CUDNN % cudnn)
        (folder / "libcudnn_graph.so.9").symlink_to("libcudnn_graph.so.9.1.2")
        folders.append(folder)
    return folders


def test_what_is_loaded_is_asked_and_not_what_the_loader_would_find(versions, nvidia):
    """The loader's path has the older ones, the process has loaded the newer."""
    older, newer = versions
    paths = [newer / name for name in ("libcudart.so.12", "libcudnn.so.9", "libcudnn_graph.so.9")]
    found = asked(AFTER_LOADING, older, *map(str, paths), str(nvidia / "libcuda.so.1"))
    assert found == {"cuda": "12.8", "cuda_driver": "13.0", "cudnn": "9.14.1"}
    assert asked(AFTER_LOADING, newer, str(older / "libcudnn_graph.so.9")) == {"cudnn": "9.3.0"}


def test_cudnns_front_alone_is_not_asked_as_it_would_load_the_rest_or_end_the_process(versions):
    assert asked(AFTER_LOADING, versions[0], str(versions[0] / "libcudnn.so.9")) == {}


def test_what_is_not_loaded_is_left_out_and_not_loaded_to_be_asked(versions):
    code = LOADED + "print(json.dumps([loaded_cuda(), loaded_cuda(), 'libcudnn' in open('/proc/self/maps').read()]))"
    assert asked(code, versions[0]) == [{}, {}, False]


def test_a_library_that_is_mapped_as_data_alone_is_not_loaded_either(versions):
    code = """
import mmap
from platforms.loaded import loaded_cuda
with open(given[0], "rb") as file:
    data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
print(json.dumps([given[0] in open("/proc/self/maps").read(), loaded_cuda()]))
"""
    assert asked(code, versions[0], str(versions[0] / "libcudart.so.12")) == [True, {}]


def test_two_of_one_library_are_both_said(versions):
    found = asked(AFTER_LOADING, versions[0], *(str(folder / "libcudnn_graph.so.9") for folder in versions))
    assert found == {"cudnn": "9.3.0 and 9.14.1"}


def test_a_library_that_cannot_be_asked_is_left_out(tmp_path, nvidia):
    broken = library(tmp_path / "libcudnn_graph.so.9", "int other(void) { return 0; }")
    failing = library(tmp_path / "libcudart.so.12", "int cudaRuntimeGetVersion(int *version) { return 35; }")
    assert asked(AFTER_LOADING, tmp_path, str(broken), str(failing)) == {}


@pytest.mark.parametrize(("number", "text"), [(8907, "8.9.7"), (90300, "9.3.0"), (91400, "9.14.0"), (100201, "10.2.1")])
def test_cudnn_writes_its_version_with_a_digit_more_since_9(number, text):
    assert loaded._cudnn(number) == text


def test_the_installed_packages_are_those_of_nvidia():
    names = {str(each.metadata["Name"]).lower(): each.version for each in metadata.distributions()}
    assert loaded.nvidia_packages() == {name: names[name] for name in names if name.startswith("nvidia-")}
    assert loaded.nvidia_packages()["nvidia-ml-py"]


def test_a_package_that_is_installed_twice_has_the_version_that_is_imported(tmp_path, monkeypatch):
    for number, name in enumerate(["nvidia_cudnn_cu12-9.3.0.75", "nvidia_cudnn_cu12-9.1.0.70", "numpy-2.0.0"]):
        (tmp_path / str(number) / f"{name}.dist-info").mkdir(parents=True)
    monkeypatch.setattr("sys.path", [str(tmp_path / each) for each in ("0", "1", "2", "none", "")])
    assert loaded.nvidia_packages() == {"nvidia-cudnn-cu12": "9.3.0.75"}
