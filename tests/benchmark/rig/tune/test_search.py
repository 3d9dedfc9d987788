"""The largest batch that fits, on machines that are made up."""

import pytest

from benchmark.rig.tune.search import NothingFits, Tried, described, search

LIMIT = 1000


def machine(line, *, limit=LIMIT, dies="killed (status 137)", known=True):
    """A machine on which a batch takes line(batch) bytes of so many; returns what tries it, and the batches tried."""
    tried = []

    def attempt(batch: int) -> Tried:
        tried.append(batch)
        taken = line(batch)
        if taken > limit:
            return Tried(batch=batch, ran=False, ending=dies)
        return Tried(batch=batch, ran=True, memory_bytes=taken if known else None, limit_bytes=limit)

    return attempt, tried


@pytest.mark.parametrize("slope", [1, 3, 7, 40, 90])
def test_what_is_returned_ran_left_a_twentieth_free_and_is_nearly_the_largest_that_does(slope):
    attempt, tried = machine(lambda batch: 100 + slope * batch)
    found = search(attempt, unit=1, start=4, most=4096)
    best = (950 - 100) // slope
    assert found.largest in tried and 100 + slope * found.largest <= 950
    assert best - found.largest <= max(1, 0.05 * best) and len(tried) <= 9


def test_two_small_tries_and_a_jump_to_nine_tenths():
    attempt, tried = machine(lambda batch: 100 + 2 * batch)
    search(attempt, unit=4, start=8, most=4096)
    # 8 and 16 make the line 100 + 2 b; 90% is at 400; then 95%, at 425: the multiple of four below is 424
    assert tried[:4] == [8, 16, 400, 424]


def test_a_line_that_lies_is_found_out_by_halves():
    # twice the memory from batch 100 on: the jump does not run, and what is open is halved
    attempt, tried = machine(lambda batch: 100 + (2 if batch < 100 else 8) * batch)
    found = search(attempt, unit=4, start=8, most=4096)
    assert tried[2] == 400 and found.largest in tried
    assert 96 <= found.largest <= 104 and next(each for each in found.tries if each.batch == 400).ran is False


def test_no_batch_is_tried_above_the_limit_that_is_given():
    attempt, tried = machine(lambda batch: 1)
    found = search(attempt, unit=4, start=8, most=70)
    assert max(tried) == found.largest == 68 and found.capped  # 70 is no multiple of four
    assert not search(machine(lambda batch: 10 * batch)[0], unit=1, start=8, most=4096).capped


def test_one_that_does_not_run_at_first_is_halved_until_it_does():
    attempt, tried = machine(lambda batch: 10 * batch)
    assert search(attempt, unit=1, start=512, most=4096).largest in (93, 94, 95)
    assert tried[:4] == [512, 256, 128, 64]


def test_where_memory_is_not_known_batches_are_doubled():
    attempt, tried = machine(lambda batch: 10 * batch, known=False)
    found = search(attempt, unit=1, start=8, most=4096)
    assert tried[:5] == [8, 16, 32, 64, 128] and 96 <= found.largest <= 100


def test_if_nothing_fits_the_reason_is_that_of_the_smallest():
    attempt, _ = machine(lambda batch: 2000, dies="aborted (status 134), at worst")
    with pytest.raises(NothingFits, match=r"a batch of 4 does not fit \(aborted \(status 134\), at worst\)"):
        search(attempt, unit=4, start=16, most=64)


def test_tries_are_told():
    assert described(Tried(batch=8, ran=False, ending="hung")) == "batch 8: does not run (hung)"
    tight = Tried(batch=8, ran=True, memory_bytes=2**30, limit_bytes=2**30)
    assert described(tight) == "batch 8: runs, 1.00 GiB, 100% of the memory, which leaves too little free"
