import pytest

from benchmark.run.watch import monitor


@pytest.fixture(autouse=True)
def no_packages(tmp_path, monkeypatch):
    """No processor of the machine at hand is sampled, as some show RAPL and others do not; tests make their own."""
    monkeypatch.setattr(monitor, "POWERCAP", tmp_path / "powercap")
