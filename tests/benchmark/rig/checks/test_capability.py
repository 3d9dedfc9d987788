import pytest

from benchmark.rig.boards import Board
from benchmark.rig.checks import capability as checks
from benchmark.rig.checks.capability import Build, built, covered
from benchmark.rig.checks.check import FAIL, OK, UNKNOWN, WARN
from benchmark.rig.place import Fact, Place

HEADER = """
#define TF_CUDA_VERSION "12.5.1"
#define TF_CUDART_VERSION "12"
#define TF_CUFFT_VERSION "11"
#define TF_CUDNN_VERSION "9"
#define TF_CUDA_TOOLKIT_PATH ""

#define TF_CUDA_COMPUTE_CAPABILITIES 60, 70, 80, 89, 90
"""
INFO = (
    "build_info = collections.OrderedDict([('cuda_compute_capabilities', ['sm_60', 'sm_70', 'sm_80', 'sm_89', "
    "'compute_90']), ('cuda_version', '12.5.1'), ('cudnn_version', '9')])"
)
TODAY = Build(cuda="12.5.1", sms=(60, 70, 80, 89, 90), ptx=(90,))


@pytest.fixture
def wheel(tmp_path, monkeypatch):
    def make(header: str | None = HEADER, info: str | None = INFO):
        for name, text in ((checks.HEADER, header), (checks.BUILD_INFO, info)):
            if text is not None:
                (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
                (tmp_path / name).write_text(text)
        monkeypatch.setattr(checks, "folder", lambda: tmp_path)
        return tmp_path

    return make


def test_a_wheel_says_what_it_was_built_for(wheel):
    found = built(wheel())
    assert (found.cuda, found.sms, found.ptx) == (TODAY.cuda, TODAY.sms, TODAY.ptx)
    assert found.libraries["cudart"] == "12" and found.libraries["cudnn"] == "9"


def test_a_wheel_whose_build_info_lists_none_is_read_by_its_header(wheel):
    """As in TensorFlow 2.22."""
    assert built(wheel(info="build_info = {}")).sms == TODAY.sms
    assert built(wheel(info="build_info = {}")).ptx == ()


def test_a_wheel_without_the_header_is_read_by_its_build_info(wheel):
    assert built(wheel(header=None)).sms == TODAY.sms


def test_the_installed_wheel_is_one_of_those_that_are_understood():
    found = built(checks.folder())
    assert found.sms and found.cuda and found.libraries["cudart"]


@pytest.mark.parametrize(
    ("capability", "status", "words"),
    [
        ((9, 0), OK, "sm_90"),  # H100, H200
        ((8, 6), OK, "sm_80"),  # RTX 30xx, by binary compatibility
        ((8, 9), OK, "sm_89"),  # RTX 40xx
        ((7, 5), OK, "sm_70"),  # RTX 2070
        ((6, 1), OK, "sm_60"),  # GTX 1080 Ti
        ((10, 0), FAIL, "CUDA_ERROR_INVALID_PTX"),  # B200
        ((12, 0), FAIL, "CUDA_ERROR_INVALID_PTX"),  # RTX 50xx
        ((5, 2), FAIL, "older"),  # GTX 980
    ],
)
def test_which_boards_the_wheel_of_today_has_code_for(capability, status, words):
    found, told = covered(capability, TODAY)
    assert found == status and words in told


def test_a_board_between_is_compiled_for_from_ptx():
    """sm_89 of a build that has 90 alone, and PTX 80: minor versions are compatible upwards only."""
    assert covered((8, 9), Build(sms=(70, 90), ptx=(80,))) == (
        WARN, "compiled from PTX 80 at the first start, for minutes",
    )  # fmt: skip
    assert covered((8, 0), Build(sms=(86, 90)))[0] == FAIL


def boards_of(*capabilities: tuple[int, int] | None) -> list[Board]:
    lost = Fact(why_not="NVML: GPU is lost")
    return [
        {"name": Fact("NVIDIA board", "NVML") if each else lost, "capability": Fact(each, "NVML") if each else lost}
        for each in capabilities
    ]


@pytest.mark.parametrize(
    ("there", "status"),
    [(((9, 0), (9, 0)), OK), (((7, 5), (10, 0)), FAIL), (((7, 5), None), UNKNOWN), (((12, 0), None), FAIL)],
)
def test_the_worst_board_counts_and_a_lost_one_is_never_ok(wheel, monkeypatch, there, status):
    wheel()
    monkeypatch.setattr(checks, "boards", lambda *_: boards_of(*there))
    found = checks.capability(Place(why_no_nvml="none"))
    assert found.status == status
    assert (status == FAIL) == ("tensorflow#89272, #101746, #111958" in found.way_out)


def test_no_tensorflow_and_one_that_does_not_say(wheel, monkeypatch):
    wheel(header="", info="")
    assert checks.capability(Place(why_no_nvml="none")).status == UNKNOWN
    monkeypatch.setattr(checks, "folder", lambda: None)
    assert checks.capability(Place(why_no_nvml="none")).status == FAIL
