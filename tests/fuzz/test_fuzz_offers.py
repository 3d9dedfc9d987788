"""Made-up files of offers: each is read, or refused by one line that names the file.

FUZZ_EXAMPLES says how many cases a parser gets; make fuzz takes 10,000.
"""

import math
import os

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from platforms import PlatformError
from platforms.gpus import kind
from platforms.offers import EXAMPLE, offer, read_offers

fuzz = settings(
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "200")),
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
OWN = EXAMPLE.read_text(encoding="utf-8")
SKYPILOT = (
    "InstanceType,AcceleratorName,AcceleratorCount,vCPUs,Price,Region,GpuInfo,SpotPrice\na,A100,4.0,30,7.96,us,,3\n"
)
GPUHUNT = (
    "instance_name,location,price,cpu,memory,gpu_count,gpu_name,gpu_memory,spot\ni1,us,0.94,30,240,1,A10,24.0,False\n"
)
TOML = '[[offer]]\nplatform = "rig"\ntotal = 3400\ncurrency = "EUR"\ndate = "2026-11-01"\nsource = "a shop"\n'
CELLS = [
    "nan",
    "inf",
    "-1",
    "0",
    "1e999",
    "9" * 400,
    "True",
    '"',
    "\x00",
    "A100",
    "",
    "0.5",
    "1_0",
    "\u0663",
    "[[",
    "2026-13",
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("offers")


def damaged(text: str) -> st.SearchStrategy[str]:
    """Files with a stretch replaced by something else."""
    return st.builds(
        lambda start, length, inserted: text[:start] + inserted + text[start + length :],
        st.integers(0, len(text)),
        st.integers(0, 30),
        st.sampled_from(CELLS) | st.text(max_size=12),
    )


@fuzz
@given(
    suffix=st.sampled_from([".csv", ".toml"]),
    content=st.binary()
    | (damaged(OWN) | damaged(SKYPILOT) | damaged(GPUHUNT) | damaged(TOML)).map(
        lambda text: text.encode("utf-8", "surrogatepass")
    ),
)
@example(suffix=".csv", content=b"\xef\xbb\xbf" + OWN.encode())
@example(suffix=".toml", content=b"a" + b".a" * 8000 + b"=1")
@example(suffix=".csv", content=b'platform,total\n"rig,3')
@example(suffix=".csv", content=b"platform,total\r\n" + b"a" * 200_000 + b",3")
def test_any_file_of_offers_is_read_or_refused_by_name(folder, suffix, content):
    path = folder / f"offers{suffix}"
    path.write_bytes(content)
    try:
        found = read_offers(path)
    except PlatformError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error) and len(str(error)) < 1500, error
        return
    for each in found.offers:
        assert each.rent_per_hour or each.total
        assert all(
            amount is None or 0 < amount < math.inf for amount in (each.rent_per_hour, each.total, each.gpu_hour)
        )
        assert each.kind is None or each.kind.fits(each.kind)
        assert found.converted(each).currency


@fuzz
@given(st.text())
@example("NVIDIA H100 80GB HBM3")
@example("9" * 5000 + " GB")
def test_any_name_of_a_gpu_has_a_kind_that_fits_itself(name):
    assert kind(name).fits(kind(name)) and kind(name) == kind(name)


@fuzz
@given(st.text() | st.builds("{}={}".format, st.text(max_size=5), st.sampled_from([*CELLS, "3/h", "3 EUR", "3/h USD"])))
def test_any_text_is_an_offer_or_refused_in_one_line(text):
    try:
        name, found = offer(text)
    except PlatformError as error:
        assert "\n" not in str(error)
    else:
        assert name and (found.rent_per_hour or found.total) > 0
