"""Names of GPUs, as drivers and catalogues have them."""

import pytest

from platforms.gpus import Kind, apart, kind


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("NVIDIA A100-SXM4-80GB", Kind("A100", 80, "SXM")),
        ("NVIDIA A100-PCIE-40GB", Kind("A100", 40, "PCIE")),
        ("NVIDIA A100 80GB PCIe", Kind("A100", 80, "PCIE")),
        ("A100-80GB", Kind("A100", 80)),
        ("NVIDIA H100 80GB HBM3", Kind("H100", 80, "SXM")),
        ("NVIDIA H100 PCIe", Kind("H100", None, "PCIE")),
        ("H100NVL", Kind("H100", None, "NVL")),
        ("H100-SXM", Kind("H100", None, "SXM")),
        ("NVIDIA H200", Kind("H200")),
        ("NVIDIA GH200 480GB", Kind("GH200")),  # the memory of its CPU
        ("NVIDIA GeForce RTX 4090", Kind("RTX4090")),
        ("RTX4090", Kind("RTX4090")),
        ("NVIDIA GeForce GTX 1080 Ti", Kind("GTX1080TI")),
        ("Nvidia RTX 2070 1.7 GHz", Kind("RTX2070")),
        ("Tesla V100-SXM2-16GB", Kind("V100", 16, "SXM")),
        ("NVIDIA RTX A6000", Kind("A6000")),
        ("Quadro RTX 6000", Kind("RTX6000")),
        ("NVIDIA RTX 6000 Ada Generation", Kind("RTX6000ADA")),
        ("NVIDIA L4", Kind("L4")),
        ("Tesla T4", Kind("T4")),
    ],
)
def test_names_say_the_model_and_perhaps_its_memory_and_form(name, expected):
    assert kind(name) == expected


def test_what_is_not_said_fits_and_what_is_said_must():
    assert kind("RTX4090").fits(kind("NVIDIA GeForce RTX 4090"))
    assert kind("A100").fits(kind("NVIDIA A100-SXM4-80GB"))
    assert not kind("A100", memory_gib=40).fits(kind("NVIDIA A100-SXM4-80GB"))
    assert not kind("H100", also="gpu_1x_h100_pcie").fits(kind("NVIDIA H100 80GB HBM3"))
    assert kind("B200", memory_gib=180).fits(kind("B200", memory_gib=192))  # GB and GiB
    assert not kind("A10").fits(kind("A100")) and not kind("RTX4090").fits(kind("RTX4080"))


def test_kinds_that_differ_are_found_among_several():
    forty, eighty, either = kind("A100", memory_gib=40), kind("A100", memory_gib=80), kind("A100")
    assert apart([forty, eighty]) == (forty, eighty)
    assert apart([forty, either, forty]) is None and apart([]) is None
