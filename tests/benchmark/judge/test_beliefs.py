"""What is believed of rigs' times: a normal law, conditioned on what was seen."""

import math
import statistics

import pytest

from benchmark.judge import beliefs as module
from benchmark.judge.beliefs import PROBE, RUN, Evidence, Look, believe


def rig(name="a", **changes):
    return Evidence(**{"name": name, "batch": 96, "paces_s": (60.0,), **changes})


def test_many_runs_of_a_rig_are_its_epochs_and_its_paces_their_mean():
    found = believe([rig(epochs=(9.0, 10.0, 11.0) * 30, paces_s=(60.0, 61.0) * 40)])
    mean, variance = found.log_epochs(0)
    assert math.exp(mean) == pytest.approx((9 * 10 * 11) ** (1 / 3), rel=0.01)
    # 90 runs of deviation .083, about that of the prior of 5.7 and of these 89: .083 / sqrt(90) = .0087
    assert math.sqrt(variance) == pytest.approx(0.0087, rel=0.1)
    assert math.exp(found.log_pace(0)[0]) == pytest.approx(math.sqrt(60 * 61))


def test_rigs_of_one_kind_share_epochs_and_one_of_another_batch_follows_openly():
    found = believe([rig(epochs=(10.0,) * 5), rig("b"), rig("c", batch=192)])
    own, alike, other = (found.log_epochs(n) for n in range(3))
    assert math.exp(alike[0]) == pytest.approx(10, rel=1e-3)
    assert math.exp(other[0]) == pytest.approx(10 * 2**0.35, rel=1e-3)  # SLOPE
    # own: 5 runs; alike: the rig's .02 too, of both; other: slope .2 * log 2 and two kinds of .06
    assert own[1] < alike[1] < other[1]
    assert alike[1] - own[1] == pytest.approx(2 * 0.02**2, rel=0.2)
    assert math.sqrt(other[1]) == pytest.approx(math.hypot(0.2 * math.log(2), 0.06 * math.sqrt(2), 0.035), rel=0.05)


def test_the_posterior_is_that_of_the_textbook():
    """Against NumPy: prior covariance K of log epochs of all rigs, noise N, mean K (K + N)^-1 y."""
    numpy = pytest.importorskip("numpy")
    given = [
        rig(epochs=(10.0, 12.0)),
        rig("b", epochs=(11.0,)),
        rig("c", batch=384, epochs=(15.0,)),
        rig("d", batch=384),
    ]
    found = believe(given)
    run = found.run_variances[0]
    between = module._between_rigs(given[:2])
    batches = numpy.log([96, 96, 384, 384])
    x = batches - numpy.log([96, 384]).mean()
    prior = 100.0 + 0.04 * numpy.outer(x, x) + 0.06**2 * (batches[:, None] == batches)
    prior += numpy.diag([between, between, 0.02**2, 0.02**2])
    seen = [statistics.fmean(map(math.log, each.epochs)) for each in given[:3]]
    noise = numpy.diag([run / 2, run, run])
    gain = prior[:, :3] @ numpy.linalg.inv(prior[:3, :3] + noise)
    means = 0.35 * x + gain @ (numpy.array(seen) - 0.35 * x[:3])
    variances = numpy.diag(prior - gain @ prior[:3])
    for n in range(4):
        assert found.log_epochs(n) == (pytest.approx(means[n], rel=1e-6), pytest.approx(variances[n], rel=1e-5))


def test_reference_runs_tell_epochs_and_without_any_nothing_does():
    assert not believe([rig(), rig("b")]).epochs_known
    told = believe([rig(), rig("b")], [Evidence(name="reference", batch=96, epochs=(10.0,) * 6)])
    assert told.epochs_known
    assert math.exp(told.log_epochs(1)[0]) == pytest.approx(10, rel=1e-3)


def test_many_runs_of_the_reference_leave_open_how_rigs_differ():
    """A thousand runs on one rig: what is left is that rig's own part and this rig's, .02 each."""
    told = believe([rig()], [Evidence(name="reference", batch=96, epochs=(10.0,) * 1000)])
    assert math.sqrt(told.log_epochs(0)[1]) == pytest.approx(math.hypot(0.02, 0.02), rel=0.02)


def test_epochs_of_one_seed_on_two_rigs_are_one_training():
    alone, copied = (believe([rig(epochs=(10.0, 10.5), copies=copies)]).log_epochs(0)[1] for copies in (1.0, 2.0))
    assert copied == pytest.approx(2 * alone, rel=0.01)


def test_a_run_moves_all_rigs_of_its_kind_and_a_probe_its_own_alone():
    found = believe([rig(epochs=(10.0,)), rig("b"), rig("c", paces_s=(), guess_s=30.0)])
    (of_probe,) = found.shifts(Look(2, PROBE))
    assert of_probe[:2] == [0, 0] and of_probe[2] == pytest.approx(0.7, rel=0.01)  # UNSEEN: all of it is told
    of_pace, of_epochs = found.shifts(Look(1, RUN))
    assert of_pace[0] == 0 and of_epochs[0] > 0.01 and of_epochs[2] > 0.01
    again = found.shifts(Look(1, RUN, 8))[1]
    assert again[1] > of_epochs[1]


def test_what_is_seen_moves_a_mean_by_no_more_than_was_open():
    found = believe([rig(epochs=(10.0,)), rig("b", batch=192)])
    for look in (Look(1, RUN), Look(1, RUN, 1000), Look(0, RUN), Look(1, PROBE)):
        for n in range(2):
            moved = sum(each[n] ** 2 for each in found.shifts(look))
            assert moved <= found.log_time(n)[1] * (1 + 1e-9)


def test_draws_have_the_means_and_covariances_of_the_law():
    found = believe([rig(epochs=(10.0,), start_s=5.0), rig("b", start_s=5.0), rig("c", batch=192, start_s=5.0)])
    logs = [[math.log(seconds - 5) for seconds in draw] for draw in found.draws(4000)]
    for n in range(3):
        mean, variance = found.log_time(n)
        mine = [draw[n] for draw in logs]
        assert statistics.fmean(mine) == pytest.approx(mean, abs=4 * math.sqrt(variance / 4000))
        assert statistics.variance(mine) == pytest.approx(variance, rel=0.1)
    differences = statistics.variance(draw[0] - draw[1] for draw in logs)
    assert differences < 0.3 * statistics.variance(draw[0] - draw[2] for draw in logs)  # of one kind: epochs are shared


def test_a_rig_without_seconds_an_epoch_needs_a_guess():
    with pytest.raises(ValueError, match="b: neither seconds an epoch nor a guess"):
        believe([rig(), rig("b", paces_s=())])
