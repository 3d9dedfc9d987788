from contextlib import contextmanager

import pytest
import trees
from standin import asked

from benchmark.rig import gpus as module
from benchmark.rig.gpus import Gpu, Link, gpus, links, on_bus, remarks_on
from benchmark.rig.load import LoadError
from benchmark.rig.place import Fact, Place
from platforms.machine import CudaDevice

NO_NVML = Place(why_no_nvml="NVML: Driver Not Loaded", environ={})
FOUND = """
from benchmark.rig import gpus as module
from benchmark.rig.place import Place
from platforms.machine import cuda_devices
answers = []
for variables in given:
    for name in [name for name in os.environ if name.startswith(("CUDA_", "STANDIN"))]:
        del os.environ[name]
    os.environ.update(variables)
    place = Place.here()
    found = module.gpus(place, cuda_devices())
    links = module.links(place, found.shown, seconds=0)
    shown = [[str(gpu), gpu.name.value, gpu.memory_gib.value, link.text.value] for gpu, link in zip(found.shown, links)]
    answers.append({"shown": shown, "remarks": found.remarks, "broken": found.broken, "why": found.why_none})
print(json.dumps(answers))
"""
MIG = "MIG-d0000000-5555-6666-7777-888888888881"


def answers(libraries, *cases):
    return asked(FOUND, libraries, *cases)


def test_the_gpus_are_cudas_in_cudas_order_matched_by_bus_id(nvidia):
    by_speed, by_bus = answers(
        nvidia, {"STANDIN": "reversed"}, {"STANDIN": "reversed", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    )
    fast = ["Tesla V100-SXM2-32GB", 32, "PCIe 3.0 x16, 6 NVLinks"]
    slow = ["NVIDIA GeForce GT 1030", 2, "PCIe 2.0 x4"]
    assert by_speed["shown"] == [["GPU 0 (0000:03:00.0)", *fast], ["GPU 1 (0000:01:00.0)", *slow]]
    assert by_bus["shown"] == [["GPU 0 (0000:01:00.0)", *slow], ["GPU 1 (0000:03:00.0)", *fast]]
    [said] = by_speed["remarks"]
    assert said == (
        "the GPUs are unlike: 1 x Tesla V100-SXM2-32GB and 1 x NVIDIA GeForce GT 1030: the slowest sets the pace; "
        "CUDA_VISIBLE_DEVICES leaves those of one kind"
    )


def test_a_lost_board_is_left_out_and_said(nvidia):
    [found] = answers(nvidia, {"STANDIN_LOST": "2"})
    assert [each[0] for each in found["shown"]] == [
        "GPU 0 (0000:01:00.0)", "GPU 1 (0000:3b:00.0)", "GPU 2 (0000:af:00.0)"
    ]  # fmt: skip
    [said] = found["remarks"]
    assert said == (
        "GPU 2 of 4, as NVML counts, cannot be read (NVML: GPU is lost) and is left out: restart the machine, and look "
        "for Xid in dmesg"
    )


@pytest.mark.parametrize(
    ("visible", "shown"), [("3,1", ["af", "3b"]), ("GPU-c0000000,GPU-b0", ["af", "4c"]), ("2,9,1", ["4c"])]
)
def test_those_that_cuda_visible_devices_leaves_are_shown_and_the_others_named(nvidia, visible, shown):
    [found] = answers(nvidia, {"CUDA_VISIBLE_DEVICES": visible})
    assert [each[0] for each in found["shown"]] == [f"GPU {n} (0000:{bus}:00.0)" for n, bus in enumerate(shown)]
    hidden = ", ".join(
        f"NVIDIA GeForce RTX 2070 at 0000:{bus}:00.0" for bus in ("01", "3b", "4c", "af") if bus not in shown
    )
    assert found["remarks"] == [f"CUDA_VISIBLE_DEVICES={visible} hides {4 - len(shown)} of 4 GPUs: {hidden}"]


@pytest.mark.parametrize("visible", ["", "-1", "GPU-no-such"])
def test_where_all_are_hidden_it_is_said_and_nothing_is_broken(nvidia, visible):
    [found] = answers(nvidia, {"CUDA_VISIBLE_DEVICES": visible})
    assert (found["shown"], found["broken"], found["why"]) == ([], "", "CUDA_VISIBLE_DEVICES hides all")
    assert found["remarks"][0].startswith(f"CUDA_VISIBLE_DEVICES={visible} hides 4 of 4 GPUs: ")


def test_of_a_partitioned_board_the_part_is_shown_with_its_own_memory(nvidia):
    """141 GiB, of which the stand-in gives a part a seventh: 20."""
    whole, part = answers(
        nvidia, {"STANDIN": "h200"}, {"STANDIN": "h200", "STANDIN_MIG": "1", "CUDA_VISIBLE_DEVICES": MIG}
    )
    assert whole["shown"] == [["GPU 0 (0000:05:00.0)", "NVIDIA H200", 141, "PCIe 5.0 x16"]]
    assert part["shown"] == [["GPU 0 (0000:05:00.0)", "NVIDIA H200 MIG 1g", 20, "PCIe 5.0 x16"]]
    assert whole["remarks"] == [] and part["remarks"][0].startswith("GPU 0 (0000:05:00.0) is partitioned (MIG)")


def test_a_gpu_that_nvml_does_not_list_is_known_by_cuda_and_its_link_is_not():
    found = gpus(NO_NVML, [CudaDevice("0000:01:00.0", "NVIDIA RTX A6000", 48 * 2**30)])
    [gpu] = found.shown
    assert (gpu.name, gpu.memory_gib) == (Fact("NVIDIA RTX A6000", "CUDA"), Fact(48.0, "CUDA"))
    [link] = links(NO_NVML, found.shown, seconds=0)
    assert link.text.why_not == "NVML lists no GPU at 0000:01:00.0" and remarks_on(found.shown, [link]) == []


# What is broken


def test_a_machine_without_gpus_is_not_broken(tmp_path):
    found = gpus(trees.root(tmp_path, trees.machine()), ())
    assert (found.broken, found.why_none) == ("", "none is to be seen (NVML: NVML Shared Library Not Found)")


def bus(*addresses: str, vendor: str = "0x10de", kind: str = "0x030000") -> dict[str, str]:
    return {
        f"/sys/bus/pci/devices/{address}/{name}": f"{text}\n"
        for address in addresses
        for name, text in (("vendor", vendor), ("class", kind))
    }


def test_gpus_on_the_bus_without_a_driver_are_broken_and_no_machine_without_gpus(tmp_path):
    files = (
        bus("0000:01:00.0", "0000:02:00.0")
        | bus("0000:01:00.1", kind="0x040300")
        | bus("0000:00:02.0", vendor="0x8086")
    )
    place = trees.root(tmp_path, files)
    assert on_bus(place) == ["0000:01:00.0", "0000:02:00.0"]
    assert gpus(place, ()).broken == (
        "2 NVIDIA GPUs are on the bus (0000:01:00.0, 0000:02:00.0) and cannot be used: "
        "NVML: NVML Shared Library Not Found"
    )


@pytest.mark.parametrize("sign", module.SIGNS)
def test_a_driver_that_shows_nothing_is_broken(tmp_path, sign):
    """The driver of Linux; a container with GPUs and without the driver's libraries; Windows' driver."""
    assert gpus(trees.root(tmp_path, {sign: ""}), ()).broken.startswith(
        f"{sign} is there, and no GPU is to be seen: NVML"
    )


def test_boards_that_cuda_cannot_use_are_broken(nvidia):
    code = FOUND.replace("cuda_devices())", "())")  # as with a libcuda.so.1 that is of another version
    [found] = asked(code, nvidia, {})
    assert found["broken"] == "NVML lists 4 GPUs and CUDA shows none: its library, libcuda.so.1, does not work here"


def test_a_lost_board_for_which_cuda_shows_none_at_all_is_the_reason(nvidia):
    [found] = asked(FOUND.replace("cuda_devices())", "())"), nvidia, {"STANDIN_LOST": "2"})
    assert found["broken"].startswith("CUDA shows none of 4 GPUs: GPU 2 of 4, as NVML counts, cannot be read")


def test_left_out_on_purpose_nothing_is_broken(tmp_path):
    found = gpus(trees.root(tmp_path, bus("0000:01:00.0")), None)
    assert (found.shown, found.broken, found.why_none) == ((), "", "GPUs are left out")


def test_amds_gpus_are_named_with_the_reason_why_they_cannot_be_used(tmp_path):
    card = "/sys/class/drm/card{}/device"
    files = {f"{card.format(0)}/vendor": "0x1002\n", f"{card.format(0)}/device": "0x740f\n"}
    files |= {f"{card.format(1)}/vendor": "0x1002\n", f"{card.format(1)}/product_name": "AMD Instinct MI300X\n"}
    files |= {f"{card.format(2)}/vendor": "0x8086\n", f"{card.format('0-DP-1')}/vendor": "0x1002\n"}
    remarks = gpus(trees.root(tmp_path, files), ()).remarks
    assert [remark.partition(" is left out: ")[0] for remark in remarks] == [
        "an AMD GPU (device 0x740f, card0)", "an AMD GPU (AMD Instinct MI300X, card1)"
    ]  # fmt: skip
    assert all("built for CUDA alone" in remark for remark in remarks)


# Links


def test_a_link_of_which_the_most_is_not_known_is_as_it_was_read():
    """An old driver, or a virtual machine, may tell only what the link is at."""
    unknown, read = Fact(why_not="NVML: Not Supported"), {"gen": Fact(1, "NVML"), "width": Fact(8, "NVML")}
    link = Link(**read, most_gen=unknown, most_width=unknown, no_load="--seconds 0")
    assert link.text == Fact("PCIe 1.0 x8", "NVML, when idle; not seen under load: --seconds 0")
    assert not link.is_less and link.widest == ""


UNDER_LOAD = """
from contextlib import contextmanager
from benchmark.rig import gpus as module
from benchmark.rig.place import Place
from platforms.machine import cuda_devices
os.environ["STANDIN_IDLE"] = "1"

@contextmanager
def under_load(kind, *, seconds):  # copies wake the links
    assert kind == "copies"
    del os.environ["STANDIN_IDLE"]
    yield
    os.environ["STANDIN_IDLE"] = "1"

module.under_load = under_load
place = Place.here()
shown = module.gpus(place, cuda_devices()).shown
answers = []
for seconds in (0, 0.01):
    links = module.links(place, shown, seconds=seconds)
    told = [[link.text.value, link.text.source, link.is_less] for link in links]
    answers.append([*told, module.remarks_on(shown, links)])
print(json.dumps(answers))
"""


def test_links_are_read_under_load_where_they_are_awake(nvidia):
    idle, loaded = asked(UNDER_LOAD, nvidia)
    *found, remarks = loaded
    assert [text for text, _, _ in found] == ["PCIe 3.0 x16", "PCIe 2.0 x1", "PCIe 2.0 x1", "PCIe 2.0 x4"]
    assert {source for _, source, _ in found} == {"NVML, while copies ran"}
    assert [less for _, _, less in found] == [False, True, True, True]
    assert remarks[0] == (
        "the GPUs' links are unlike: GPU 0 (0000:01:00.0): PCIe 3.0 x16, GPU 1 (0000:3b:00.0): PCIe 2.0 x1, "
        "GPU 2 (0000:4c:00.0): PCIe 2.0 x1, GPU 3 (0000:af:00.0): PCIe 2.0 x4: gradients pass at the rate of the "
        "slowest"
    )
    assert remarks[1].startswith(
        "GPU 1 (0000:3b:00.0) is at PCIe 2.0 x1 under load, and board and slot can do PCIe 2.0 x16"
    )
    assert len(remarks) == 4
    *found, remarks = idle
    assert [text for text, _, _ in found] == ["PCIe 3.0 x16", "PCIe 2.0 x16", "PCIe 2.0 x16", "PCIe 2.0 x16"]
    assert found[1][1] == (
        "NVML: the most that board and slot can do; PCIe 1.0 x1 when idle; not seen under load: --seconds 0"
    )
    assert [less for _, _, less in found] == [False, True, True, True]  # by its width; the generation sleeps


def test_where_the_load_does_not_begin_its_reason_is_told(monkeypatch):
    @contextmanager
    def under_load(kind, *, seconds):
        raise LoadError("copies did not begin: no GPU to copy to")
        yield

    monkeypatch.setattr(module, "under_load", under_load)
    unknown = Fact(why_not="-")
    reading = Link(gen=Fact(1, "NVML"), width=Fact(8, "NVML"), most_gen=Fact(4, "NVML"), most_width=Fact(8, "NVML"))
    monkeypatch.setattr(module, "_reading", lambda place, gpu: reading)
    gpu = Gpu(number=0, index=0, pci="0000:01:00.0", name=unknown, memory_gib=unknown, nvlinks=unknown)
    [link] = links(NO_NVML, [gpu], seconds=1)
    assert link.text.value == "PCIe 4.0 x8"
    assert link.text.source.endswith("not seen under load: copies did not begin: no GPU to copy to")
    assert remarks_on([gpu], [link]) == [
        "the links could not be seen under load: copies did not begin: no GPU to copy to"
    ]


def test_the_numa_node_of_a_gpus_slot_is_the_buss(tmp_path):
    """-1 is Linux's for a machine that has none: Documentation/ABI/testing/sysfs-bus-pci, numa_node."""
    files = {
        "/sys/bus/pci/devices/0000:01:00.0/numa_node": "1\n",
        "/sys/bus/pci/devices/0000:41:00.0/numa_node": "-1\n",
    }
    place = trees.root(tmp_path, files)
    devices = [CudaDevice(pci, "NVIDIA RTX A6000", 2**35) for pci in ("0000:01:00.0", "0000:41:00.0", "0000:c1:00.0")]
    found = [gpu.numa_node for gpu in gpus(place, devices).shown]
    assert [node.value for node in found] == [1, None, None]
    assert found[1].why_not == "the bus names no NUMA node" and "No such file" in found[2].why_not
