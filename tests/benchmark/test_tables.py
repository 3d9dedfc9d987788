import io

import pytest
import rich.console

from benchmark.tables import WIDTH, Table, money, plain, print_rich

TABLE = Table(
    "mini: the runs",
    ("platform", "utterances/s", "TFLOP/s", "input", "median WER", "epochs", "minutes"),
    (("sys1 (emulated)", "97.2", "0.0756", "0.6%", "50.12", "6", "3.04"), ("cpu", "1,234", "", "NA", "7.00", "8", "1")),
)


def on_a_terminal(monkeypatch, width: int) -> str:
    printed = io.StringIO()
    original = rich.console.Console
    monkeypatch.setattr(rich.console, "Console", lambda **options: original(file=printed, width=width, **options))
    print_rich([TABLE])
    return printed.getvalue()


@pytest.mark.parametrize("width", [200, 100, 80, 60, 40, 30, 20])
def test_a_terminal_of_any_width_shows_every_figure(monkeypatch, width):
    shown = on_a_terminal(monkeypatch, width)
    assert "\u2026" not in shown
    for figure in ("97.2", "0.0756", "0.6%", "50.12", "3.04", "1,234", "NA", "7.00", "TFLOP/s", "minutes"):
        assert figure in shown
    assert max(len(line.rstrip()) for line in shown.splitlines()) <= max(width, 26)  # "  utterances/s  97.2" at least


def test_a_terminal_too_narrow_for_two_columns_has_a_line_for_each_cell(monkeypatch):
    lines = on_a_terminal(monkeypatch, 24).splitlines()
    assert lines[:4] == ["mini: the runs", "sys1 (emulated)", "  utterances/s  97.2", "  TFLOP/s       0.0756"]
    assert "  input         NA" in lines and not any(line.strip() == "TFLOP/s" for line in lines)  # an empty cell


def test_a_pipe_has_parts_that_fit_and_begin_with_the_first_column():
    wide = Table("wide", ("platform", *(f"column {n}" for n in range(30))), (("cpu", *["1"] * 30),))
    lines = plain([wide]).splitlines()
    assert max(map(len, lines)) <= WIDTH and sum(line.startswith("cpu") for line in lines) == 4


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (None, "NA"), (0, "0.00 USD"), (1234.5, "1,234.50 USD"), (12.345, "12.35 USD"), (0.1, "0.10 USD"),
        (0.012, "0.012 USD"), (0.00123, "0.0012 USD"), (0.000004, "0.0000040 USD"), (-0.004, "-0.0040 USD"),
        (1.5e-9, "1.5e-09 USD"),
    ],
)  # fmt: skip
def test_small_sums_keep_two_digits(amount, text):
    assert money(amount, "USD") == text
