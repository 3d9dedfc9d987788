"""python -m platforms: a summary that fits the terminal, or every mistake in a line of its own."""

import pytest

import platforms
from platforms.__main__ import main
from platforms.summary import summary


@pytest.mark.parametrize("name", platforms.names())
@pytest.mark.parametrize("width", [40, 80, 200])
def test_a_summary_is_no_wider_than_the_terminal_nor_than_a_line_that_is_read(name, width):
    lines = summary(platforms.load(name), named=name, width=width)
    assert lines[0].startswith(f"{name}: ") and max(map(len, lines)) <= max(40, min(100, width))
    assert f"PLATFORM={name}" in lines[-1]


def test_a_summary_says_what_the_machine_is_what_it_costs_and_how_it_trains():
    text = "\n".join(summary(platforms.load("sys1"), named="sys1"))
    for said in (
        "4 x Nvidia RTX 2070 1.7 GHz, 8 GiB each; links: 1 x PCIe 3.0 x16, 3 x PCIe 2.0 x1",
        "2,605.29 USD to buy, of it GPUs 1,980.00 and CPU 354.25, without storage",
        "96 utterances, 24 on each of 4 replicas",
        "8 readers of shards, 40 batches ahead",
        "float32; gradients by first-gpu",
    ):
        assert said in text
    assert "left out" not in text


def test_what_is_left_out_is_named_with_what_that_means():
    rented = "\n".join(summary(platforms.load("rented-8xh100"), named="x.toml"))
    assert "31.92 USD an hour to rent" in rented and "links: 8 x NVLink 4" in rented
    assert "cpu, logical_cores, ram_gib: nothing needs them" in rented
    assert "price/performance is NA" in "\n".join(summary(platforms.load("cpu"), named="cpu"))


def test_the_command_gives_each_mistake_a_line_and_fine_files_their_summary(tmp_path, capsys):
    text = (platforms.FOLDER / "sys1.toml").read_text()
    wrong = tmp_path / "wrong.toml"
    wrong.write_text(text.replace("readers = 8", "readers = -8").replace('label = "Sys1$"', "label = 1"))
    assert main(["cpu", str(wrong)]) == 2
    out, err = capsys.readouterr()
    assert out.startswith("cpu: ") and "PLATFORM=cpu" in out
    first, second, third = err.splitlines()
    assert first == f"platforms: {wrong}: name = 'sys1'; expected 'wrong', as the file is called wrong.toml"
    assert second == f"platforms: {wrong}: label = 1; expected one line of text"
    assert third.startswith(f"platforms: {wrong}: [input] readers = -8; expected a whole number from 1")


def test_the_command_alone_lists_what_comes_with_the_suite(capsys):
    assert main([]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == platforms.names()


def test_a_name_that_is_no_platform_gets_one_line(capsys):
    assert main(["sys3"]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.count("\n") == 1 and err.startswith("platforms: unknown platform 'sys3'; did you mean")
