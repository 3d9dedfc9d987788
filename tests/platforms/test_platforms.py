"""Platform files: the paper's three machines, and what the loader says about files that are wrong."""

import json
import math
import re
from dataclasses import FrozenInstanceError, fields, replace
from pathlib import Path

import pytest

import platforms
from platforms import Hardware, Input, Platform, PlatformError, Power, Price, Training, load

FOLDER = Path(platforms.__file__).parent
SYS1 = (FOLDER / "sys1.toml").read_text(encoding="utf-8")

# The rows of the paper's table of platforms, copied by hand.
PUBLISHED = {
    # label, USD: total, GPUs, CPU; GPUs, which, GiB; CPU, logical cores, RAM; batch, per GPU, readers, buffer
    "sys1": (
        ("Sys1$", 2605.29, 1980.00, 354.25, 4, "Nvidia RTX 2070 1.7 GHz", 8) + ("Intel i7 6700k", 8, 16, 96, 24, 8, 40)
    ),
    "sys2": (
        ("Sys2$", 5699.95, 3599.97, 97.98, 4, "Nvidia GTX 1080 Ti", 11)
        + ("2x Intel Xeon E5-2630 v2", 24, 128, 240, 60, 16, 100)
    ),
    "sys10": (
        ("Sys10$", 25999.00, 17956.00, 5422.20, 2, "Nvidia Tesla V100 32 GB", 32)
        + ("2x Intel Xeon Gold 6136", 48, 192, 300, 150, 16, 100)
    ),
}


@pytest.fixture
def write(tmp_path):
    """Writes TOML text, as sys1.toml unless told otherwise; returns the path as text."""

    def write_file(text, *, called="sys1.toml"):
        path = tmp_path / called
        path.write_text(text, encoding="utf-8")
        return str(path)

    return write_file


def edited(start, line):
    """sys1.toml with another line for the one that begins so; there must be exactly one."""
    pattern = re.compile(rf"^{re.escape(start)}.*$", re.MULTILINE)
    text, count = pattern.subn(lambda _: line, SYS1)
    assert count == 1, f"{count} lines begin with {start!r}"
    return text


def without(table):
    """sys1.toml less one of its tables."""
    text, count = re.subn(rf"^\[{table}\]\n(.+\n)+", "", SYS1, flags=re.MULTILINE)
    assert count == 1
    return text


def refusal(path):
    with pytest.raises(PlatformError) as caught:
        platforms.load(path)
    return str(caught.value)


# --- the files that come with the suite


def test_the_packaged_platforms_are_the_papers_three_and_the_default():
    assert platforms.names() == sorted(platforms.names())
    assert {"cpu", "sys1", "sys2", "sys10"} <= set(platforms.names())


@pytest.mark.parametrize("name", platforms.names())
def test_every_packaged_platform_loads_by_name_and_by_path(name):
    platform = platforms.load(name)
    assert platform.name == name
    assert platforms.load(str(FOLDER / f"{name}.toml")) == platform == platforms.load(FOLDER / f"{name}.toml")


@pytest.mark.parametrize("name", platforms.names())
def test_every_packaged_file_says_at_its_top_which_command_runs_it(name):
    top, _, _ = (FOLDER / f"{name}.toml").read_text(encoding="utf-8").partition("\nname = ")
    assert all(line.startswith("#") for line in top.splitlines() if line)
    assert f"make bench PLATFORM={name}" in top


@pytest.mark.parametrize("name", PUBLISHED)
def test_a_packaged_platform_has_the_published_figures(name):
    it = platforms.load(name)
    price, hardware, knobs = it.price, it.hardware, it.input
    assert (
        (it.label, price.total, price.gpus, price.cpu, hardware.gpus, hardware.gpu, hardware.gpu_memory_gib)
        + (hardware.cpu, hardware.logical_cores, hardware.ram_gib)
        + (knobs.batch, it.batch_per_replica, knobs.readers, knobs.buffer)
    ) == PUBLISHED[name]
    assert (price.currency, price.date, price.source) == ("USD", "2019-10", "amazon.com")
    assert price.storage_included is False
    assert it.training == Training(reduction="first-gpu", precision="float32")


def test_only_the_first_gpu_of_sys1_has_a_full_link():
    assert platforms.load("sys1").hardware.links == ("PCIe 3.0 x16",) + 3 * ("PCIe 2.0 x1",)
    assert platforms.load("sys2").hardware.links == 4 * ("PCIe 3.0 x16",)
    assert platforms.load("sys10").hardware.links == 2 * ("PCIe 3.0 x16",)


def test_the_batch_is_shared_equally_by_the_replicas():
    sys1, sys2, sys10 = (platforms.load(name) for name in ("sys1", "sys2", "sys10"))
    assert sys1.replicas * sys1.batch_per_replica == 4 * 24 == 96 == sys1.input.batch
    assert sys2.replicas * sys2.batch_per_replica == 4 * 60 == 240 == sys2.input.batch
    assert sys10.replicas * sys10.batch_per_replica == 2 * 150 == 300 == sys10.input.batch


def test_what_is_neither_gpu_nor_cpu_is_left_of_the_price():
    price = platforms.load("sys1").price
    assert price.total - price.gpus - price.cpu == pytest.approx(271.04)  # 2605.29 - 1980.00 - 354.25


def test_the_default_is_one_replica_without_gpu_or_price_on_whatever_this_machine_has():
    cpu = platforms.load("cpu")
    assert cpu.price is None
    assert cpu.hardware == Hardware(gpus=0)
    assert (cpu.hardware.links, cpu.hardware.cpu, cpu.hardware.ram_gib) == ((), None, None)
    assert (cpu.replicas, cpu.batch_per_replica) == (1, 16)  # max(1, 0 GPUs), 16 / 1
    assert cpu.input == Input(batch=16, readers=2, buffer=8)
    assert cpu.training == Training(reduction="first-gpu", precision="float32")


def test_the_readme_explains_every_key():
    _, _, readme = (FOLDER / "README.md").read_text(encoding="utf-8").partition("\n## Keys\n")
    explained = re.findall(r"^\| `(\w+)` \|", readme, re.MULTILINE)
    tables = (Price, Power, Hardware, Input, Training)
    keys = ["name", "label", "description"] + [key.name for table in tables for key in fields(table)]
    assert explained == keys


@pytest.mark.parametrize("pue", [0.9, 0, 10.1, "1.2", True])
def test_a_place_takes_at_least_what_its_machines_take(pue):
    keys = load("sys1").to_dict()
    assert Platform.from_dict({**keys, "power": {"pue": 1.25}}).power.pue == 1.25
    assert load("sys1").power is None
    with pytest.raises(PlatformError, match=r"\[power\] pue = .*; expected a number from 1 to 10"):
        Platform.from_dict({**keys, "power": {"pue": pue}})


# --- names and paths


def test_an_unknown_name_lists_the_known_ones_and_guesses():
    with pytest.raises(PlatformError, match=r"'sys3'; did you mean 'sys\d'\? known are cpu, .*sys10, sys2"):
        platforms.load("sys3")
    with pytest.raises(PlatformError, match=r"'SYS10\$'; did you mean 'sys10'"):
        platforms.load("SYS10$")
    with pytest.raises(PlatformError, match=r"unknown platform ''; known are cpu, .*, or a path"):
        platforms.load("")


def test_a_path_is_what_ends_in_toml_or_has_a_separator(write, monkeypatch, tmp_path):
    """The name is nobody's: a user's mine.toml may lie among the platforms, where `make platform` writes it."""
    write(SYS1.replace('name = "sys1"', 'name = "nobodys"'), called="nobodys.toml")
    monkeypatch.chdir(tmp_path)
    for path in ("nobodys.toml", "./nobodys.toml", Path("nobodys.toml"), tmp_path / "nobodys.toml"):
        assert platforms.load(path).name == "nobodys"
    with pytest.raises(PlatformError, match="unknown platform 'nobodys'"):
        platforms.load("nobodys")
    assert refusal("./sys1").startswith("sys1: No such file")
    assert refusal(Path("sys1")).startswith("sys1: No such file")  # a Path is a path, whatever it is called


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path):
    missing = str(tmp_path / "none.toml")
    assert refusal(missing).startswith(f"{missing}: No such file or directory; expected a file, or one")
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    assert refusal(folder).startswith(f"{folder}: Is a directory")
    assert "null byte" in refusal("none\0.toml")


def test_a_file_of_any_length_is_refused_at_once_by_its_size(write):
    said = "is not TOML: it has more than 16384 bytes; expected lines of key = value, as in cpu.toml"
    assert refusal(write("a" + ".a" * 10**6 + " = 1")).endswith(said)
    assert refusal("/dev/zero").endswith(said)


def test_the_mark_that_some_editors_begin_a_file_with_is_passed_over(write):
    assert platforms.load(write("\ufeff" + SYS1)) == platforms.load("sys1")


def test_a_name_that_is_not_the_files_is_refused(write):
    path = write(SYS1, called="other.toml")
    assert refusal(path) == f"{path}: name = 'sys1'; expected 'other', as the file is called other.toml"


# --- what is wrong in a file: how a line of sys1.toml begins, the line put there, what the message must say

WRONG = [
    ("readers =", "readres = 8", "unknown key [input] readres = 8; did you mean 'readers'?"),
    ("readers =", "q = 8", "[input] q = 8; known are batch, readers, buffer, accumulation"),
    ("[training]", "[trianing]", "unknown key trianing = {'reduction'"),
    ("label =", 'labels = "Sys1$"', "unknown key labels = 'Sys1$'; did you mean 'label'?"),
    ("buffer =", "", "[input] buffer is missing; expected a whole number from 1"),
    ("label =", "", "label is missing; expected one line of text"),
    ("storage_included =", "", "[price] storage_included is missing; expected true or false"),
    ("gpu =", "", "[hardware] gpu is missing; expected one line of text, as [hardware] gpus is 4"),
    ("gpu_memory_gib =", "", "[hardware] gpu_memory_gib is missing; expected a number above 0"),
    ("batch =", 'batch = "96"', "[input] batch = '96'; expected a whole number from 1"),
    ("batch =", "batch = 96.0", "[input] batch = 96.0; expected a whole number"),
    ("readers =", "readers = true", "[input] readers = True; expected a whole number"),
    ("ram_gib =", "ram_gib = true", "[hardware] ram_gib = True; expected a number above 0"),
    ("label =", "label = 1", "label = 1; expected one line of text"),
    ("storage_included =", "storage_included = 0", "[price] storage_included = 0; expected true or false"),
    ("source =", 'source = " "', "[price] source = ' '; expected one line of text"),
    ("label =", r'label = "a\nb"', r"label = 'a\nb'; expected one line of text"),
    ("date =", "date = 2019-10-01", "[price] date = datetime.date(2019, 10, 1)"),
    ("date =", 'date = "2019-13"', "[price] date = '2019-13'; expected text, a month or a day"),
    ("currency =", 'currency = "$"', "[price] currency = '$'; expected three capital"),
    ("batch =", "batch = 97", "[input] batch = 97; expected a multiple of [hardware] gpus, 4: 96"),
    ("batch =", "batch = 3", "[input] batch = 3; expected a multiple of [hardware] gpus, 4"),
    ("batch =", "batch = 0", "[input] batch = 0; expected a whole number from 1"),
    ("readers =", "readers = -8", "[input] readers = -8; expected a whole number from 1"),
    ("buffer =", "buffer = 0", "[input] buffer = 0; expected a whole number from 1"),
    ("total =", "total = 0", "[price] total = 0; expected a number above 0"),
    ("gpus = 4", "gpus = -1", "[hardware] gpus = -1; expected a whole number from 0"),
    ("gpus = 1", "gpus = 0", "[price] gpus = 0; expected what the 4 GPUs of [hardware] gpus cost"),
    ("gpu_memory_gib =", "gpu_memory_gib = 0", "[hardware] gpu_memory_gib = 0; expected a number above 0"),
    ("total =", "total = 2334.24", "[price] total = 2334.24; expected at least gpus + cpu, 2334.25"),
    ("total =", "total = nan", "[price] total = nan; expected a number above 0"),
    ("total =", "total = inf", "[price] total = inf; expected a number above 0"),
    ("gpus = 1", "gpus = -inf", "[price] gpus = -inf; expected a number from 0"),
    ("ram_gib =", "ram_gib = nan", "[hardware] ram_gib = nan; expected a number above 0"),
    ("batch =", "batch = nan", "[input] batch = nan; expected a whole number"),
    ("total =", "total = 1" + 400 * "0", "0...; expected a number above 0, at most 1000000000"),
    ("batch =", "batch = 1" + 5000 * "0", "; expected"),
    ("batch =", "batch = 0x" + 5000 * "f", "[input] batch = "),
    ("links =", 'links = ["a", "b", "c"]', "; expected 4 links, not 3, as [hardware] gpus is 4"),
    ("links =", 'links = "8 x NVLink 4"', "; expected 4 links, not 8, as [hardware] gpus is 4"),
    ("links =", 'links = "9999 x NVLink 4"', "; expected 4 links, not 1024, as [hardware] gpus is 4"),
    ("links =", 'links = ""', "[hardware] links = ('', '', '', ''); expected a list of texts"),
    ("links =", "links = 4", "[hardware] links = 4; expected a list of texts"),
    ("links =", "links = [1, 2, 3, 4]", "[hardware] links = (1, 2, 3, 4); expected a list of texts"),
    ("reduction =", 'reduction = "ncll"', "[training] reduction = 'ncll'; expected one of first-gpu, nccl"),
    ("precision =", 'precision = "fp16"', "[training] precision = 'fp16'; expected one of float32, tf32"),
    ("precision =", "precision = [1]", "[training] precision = [1]; expected one of float32"),
    ("gpus = 4", "gpus = 0", "expected 0 links, not 4, as [hardware] gpus is 0"),
    ("name =", 'name = "sys 1"', "name = 'sys 1'; expected letters, digits, - and _"),
    ("name =", r'name = "sys1\n"', r"name = 'sys1\n'; expected letters"),
    ("readers =", "readers = 8\nreaders = 8", "is not TOML: Cannot overwrite a value"),
    ("readers =", "readers: 8", "is not TOML: "),
    ("readers =", "readers = " + 5000 * "[", "is not TOML: "),
    ("readers =", "q" + 900 * ".q" + " = 1", "unknown key [input] q = "),  # from Python 3.14 on 1000 are not TOML
]


@pytest.mark.parametrize(("start", "line", "said"), WRONG, ids=lambda text: text[:40])
def test_a_wrong_file_is_refused_by_file_key_value_and_way_out(write, start, line, said):
    path = write(edited(start, line))
    message = refusal(path)
    assert message.startswith(f"{path}: ")
    assert said in message
    assert len(message) < len(path) + 300 * max(1, message.count("; expected"))  # what was found is shortened


def test_a_rig_may_be_rented_bought_or_both():
    keys = platforms.load("sys1").to_dict()
    assert Platform.from_dict({**keys, "price": {**keys["price"], "rent_per_hour": 1.5}}).price.rent_per_hour == 1.5
    rent = {"currency": "USD", "date": "2026-01", "source": "a cloud", "rent_per_hour": 2.5}
    assert Platform.from_dict({**keys, "price": rent}).price.total is None
    with pytest.raises(PlatformError, match=r"^\[price\] storage_included is missing"):
        Platform.from_dict({**keys, "price": {**rent, "total": 100.0}})
    with pytest.raises(PlatformError, match=r"rent_per_hour = 0"):
        Platform.from_dict({**keys, "price": {**rent, "rent_per_hour": 0}})


@pytest.mark.parametrize("part", ["total", "currency", "date", "source", "storage_included"])
def test_each_part_of_a_price_is_needed_once_there_is_one(part):
    keys = platforms.load("sys1").to_dict()
    del keys["price"][part]
    with pytest.raises(PlatformError, match=rf"^\[price\] {part} is missing; expected "):
        Platform.from_dict(keys)


@pytest.mark.parametrize("table", ["hardware", "input", "training"])
def test_a_missing_table_is_refused_by_name(write, table):
    path = write(without(table))
    assert refusal(path) == f"{path}: {table} is missing; expected a table [{table}]"


def test_a_value_where_a_table_belongs_is_refused(write):
    path = write("price = 5\n" + without("price"))
    assert refusal(path) == f"{path}: price = 5; expected a table [price]"


def test_bytes_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / "sys1.toml"
    path.write_bytes(b"\xff" + SYS1.encode())
    assert refusal(path).startswith(f"{path}: is not TOML: 'utf-8' codec can't decode byte 0xff")


def test_the_near_batches_named_are_the_multiples_below_and_above(write):
    # 4 GPUs: 97 lies between 24 * 4 = 96 and 25 * 4 = 100; below 3 there is no multiple, above it is 4
    assert refusal(write(edited("batch =", "batch = 97"))).endswith("gpus, 4: 96 or 100")
    assert refusal(write(edited("batch =", "batch = 3"))).endswith("gpus, 4: 4")


# --- all mistakes of a file at once


def test_all_mistakes_of_a_file_are_named_at_once(write):
    text = SYS1.replace("readers = 8", "readres = 8").replace("batch = 96", "batch = 97").replace("label =", "lable =")
    text = text.replace("ram_gib = 16", "ram_gib = -1").replace('name = "sys1"', 'name = "other"')
    path = write(text)
    with pytest.raises(PlatformError) as caught:
        platforms.load(path)
    said = (
        "name = 'other'; expected 'sys1'",
        "unknown key lable = 'Sys1$'; did you mean 'label'?",  # and label is not called missing
        "[hardware] ram_gib = -1; expected a number above 0",
        "unknown key [input] readres = 8; did you mean 'readers'?",
    )
    assert len(caught.value.mistakes) == len(said)
    assert all(each.startswith(words) for each, words in zip(caught.value.mistakes, said, strict=True))
    assert str(caught.value).startswith(f"{path}: 4 mistakes: (1) name = 'other'; ") and "(4) unknown" in refusal(path)


def test_what_does_not_go_together_is_named_beside_what_is_wrong_by_itself(write):
    path = write(SYS1.replace("batch = 96", "batch = 97").replace('label = "Sys1$"', "label = 1"))
    assert refusal(path).startswith(f"{path}: 2 mistakes: (1) label = 1; expected one line of text; (2) [input] batch")


# --- what may be left out


@pytest.mark.parametrize("start", ["gpus = 1", "cpu = 3", 'cpu = "', "logical_cores =", "ram_gib =", "links ="])
def test_what_nothing_uses_may_be_left_out(write, start):
    platform = platforms.load(write(edited(start, "")))
    assert platform.replicas == 4 and platform.price.total == 2605.29
    assert Platform.from_dict(platform.to_dict()) == platform


@pytest.mark.parametrize(
    ("links", "found"),
    [
        ("4 x NVLink 4", ("NVLink 4",) * 4),
        ("NVLink 4", ("NVLink 4",) * 4),  # each GPU's
        ("1 x PCIe 3.0 x16, 3 x PCIe 2.0 x1", ("PCIe 3.0 x16",) + ("PCIe 2.0 x1",) * 3),
    ],
)
def test_links_may_be_counted(write, links, found):
    assert platforms.load(write(edited("links =", f'links = "{links}"'))).hardware.links == found


def test_a_machine_without_a_price_has_none(write):
    platform = platforms.load(write(without("price")))
    assert platform.price is None
    assert platform.hardware == platforms.load("sys1").hardware


def test_a_machine_without_gpus_may_have_a_price_and_say_what_it_is(write):
    text = edited("gpus = 1", "gpus = 0").replace("gpus = 4", "gpus = 0")
    text = re.sub(r"\n(gpu|gpu_memory_gib|links) = .*", "", text)
    platform = platforms.load(write(text))
    assert (platform.price.gpus, platform.price.total) == (0, 2605.29)
    assert (platform.hardware.cpu, platform.hardware.logical_cores) == ("Intel i7 6700k", 8)
    assert (platform.replicas, platform.batch_per_replica) == (1, 96)


@pytest.mark.parametrize(("key", "value"), [("gpu", "RTX 2070"), ("gpu_memory_gib", 8)])
def test_a_gpu_where_there_is_none_is_refused(key, value):
    with pytest.raises(PlatformError, match=rf"\[hardware\] {key} = .*; expected no such key, as .* is 0"):
        Hardware(gpus=0, **{key: value})


def test_parts_that_make_up_the_whole_price_but_for_rounding_are_accepted():
    price = platforms.load("sys1").price
    assert 0.1 + 0.2 > 0.3  # in floats
    assert replace(price, total=0.3, gpus=0.1, cpu=0.2).total == 0.3


# --- platforms made in code


def test_a_platform_made_in_code_is_checked_as_well():
    sys1 = platforms.load("sys1")
    with pytest.raises(PlatformError, match=r"\[input\] batch = 98; expected a multiple of .* gpus, 4: 96"):
        replace(sys1, input=Input(batch=98, readers=8, buffer=40))
    with pytest.raises(PlatformError, match=r"\[hardware\] links = .*; expected 2 links, not 4"):
        replace(sys1.hardware, gpus=2)
    with pytest.raises(PlatformError, match=r"\[price\] total = nan; expected a number above 0"):
        replace(sys1.price, total=math.nan)
    for table in ("hardware", "input", "training"):
        with pytest.raises(PlatformError, match=rf"{table} = None; expected a table \[{table}\]"):
            replace(sys1, **{table: None})
    with pytest.raises(PlatformError, match=r"price = {}; expected a table \[price\]"):
        replace(sys1, price={})


def test_a_platform_cannot_be_changed_only_copied():
    sys1 = platforms.load("sys1")
    with pytest.raises(FrozenInstanceError):
        sys1.input.batch = 4
    assert len({sys1, platforms.load("sys1"), platforms.load("sys2")}) == 2  # hashable, links and all
    assert replace(sys1.hardware, links=list(sys1.hardware.links)) == sys1.hardware


def test_other_input_knobs_make_a_checked_copy_and_leave_the_rest():
    sys1 = platforms.load("sys1")
    other = sys1.changed(batch=48, buffer=None)
    assert other.input == Input(batch=48, readers=8, buffer=40)
    assert other.batch_per_replica == 12  # 48 / 4
    assert (other.price, other.hardware, sys1.input.batch) == (sys1.price, sys1.hardware, 96)
    assert sys1.changed(readers=1, buffer=2).input == Input(batch=96, readers=1, buffer=2)
    assert sys1.changed() == sys1
    assert sys1.changed(accumulation=8).input.accumulation == 8  # 3 utterances a piece: 96 / 4 GPUs / 8
    for knobs, said in [
        ({"batch": 50}, "batch = 50; expected a multiple of .* 4: 48 or 52"),
        ({"batch": 0}, "batch = 0; expected a whole number from 1"),  # 0 is a value, not "unset"
        ({"readers": 2.0}, "readers = 2.0; expected a whole number"),
        ({"accumulation": 5}, "accumulation = 5; expected a divisor of the 24 utterances that a replica takes"),
        ({"bufer": 2}, "bufer = 2; did you mean 'buffer'"),
    ]:
        with pytest.raises(PlatformError, match=said):
            sys1.changed(**knobs)


@pytest.mark.parametrize("name", platforms.names())
def test_a_platform_comes_back_from_json_as_it_was(name):
    platform = platforms.load(name)
    plain = platform.to_dict()
    text = json.dumps(plain, allow_nan=False)
    assert json.loads(text) == plain  # lists, not tuples: nothing changes on the way
    assert Platform.from_dict(json.loads(text)) == platform


# --- several machines -------------------------------------------------------------------------------------------------


def several(machines: int, **changes):
    """sys1, of which several train together: 4 GPUs each, a batch of 96."""
    sys1 = load("sys1")
    keys = sys1.to_dict()
    keys["hardware"]["machines"] = machines
    keys["training"]["reduction"] = "nccl"
    for table, values in changes.items():
        keys[table] |= values
    return Platform.from_dict(keys)


def test_replicas_and_price_are_of_all_machines():
    two = several(2)
    assert (two.replicas, two.batch_per_replica) == (8, 12)  # 96 / 8
    assert two.whole_price.total == pytest.approx(2 * load("sys1").price.total)
    assert load("sys1").whole_price == load("sys1").price and load("cpu").whole_price is None


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        (lambda: several(0), "[hardware] machines = 0; expected a whole number from 1"),
        (lambda: several(5), "[input] batch = 96; expected a multiple of the 20 replicas of 5 machines: 80 or 100"),
        (
            lambda: several(2, training={"reduction": "first-gpu"}),
            "[training] reduction = 'first-gpu'; expected nccl or ring, as [hardware] machines is 2",
        ),
        (
            lambda: several(1, training={"reduction": "ring"}),
            "[training] reduction = 'ring'; expected first-gpu or nccl or hierarchical, as [hardware] machines is 1",
        ),
    ],
)
def test_what_several_machines_cannot_be_is_refused(asked, says):
    with pytest.raises(PlatformError) as error:
        asked()
    assert says in str(error.value)


@pytest.mark.parametrize(
    ("gpu", "device", "other"),
    [
        ("NVIDIA A10", "8 x NVIDIA A100-SXM4-80GB", True),
        ("NVIDIA A100", "8 x NVIDIA A100-SXM4-80GB", False),
        ("L40", "NVIDIA L40S", True),
        ("H20", "NVIDIA H200", True),
        ("RTX 2080", "NVIDIA GeForce RTX 2080 Ti", True),
        ("RTX 2080 Ti", "NVIDIA GeForce RTX 2080 Ti", False),
        ("RTX 2080 Ti", "NVIDIA GeForce RTX 2080", True),
        ("RTX 6000 Ada", "NVIDIA RTX A6000", True),
        ("RTX 2070", "GeForce RTX 2060, GeForce RTX 2070", False),
        ("V100", "Tesla V100-SXM2-32GB", False),
        ("Imaginary", "NVIDIA A10", False),
        ("A10", "CPU", False),
    ],
)
def test_another_gpu_is_told_by_whole_words_of_its_name(gpu, device, other):
    assert platforms.is_other_gpu(gpu, device) is other
