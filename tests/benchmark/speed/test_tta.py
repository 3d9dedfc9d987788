"""The part tta: time to accuracy of whole trainings, by stand-ins, and both contenders on a small corpus."""

import json
import statistics
import sys
from dataclasses import replace

import numpy as np
import pytest
from commands import command

from benchmark.speed import __main__ as speed
from benchmark.speed import results, tta
from benchmark.speed.contest import Arena, Contender, ContestError, contender
from benchmark.speed.curve import Epoch, reached
from benchmark.speed.sizes import Setting

TINY = {"recipe": "paper", "filters": 8, "units": 8, "layers": 2, "max_epochs": 3}


def epochs(*errors, train_s=8.0, evaluate_s=1.0, created_s=2.0):
    each_s = train_s + evaluate_s
    return [
        vars(
            Epoch(
                train_s=train_s,
                evaluate_s=evaluate_s,
                ended_s=created_s + each_s * (n + 1),
                loss=1.0,
                cer=cer,
                wer=90.0,
            )
        )
        for n, cer in enumerate(errors)
    ]


def standing_in(monkeypatch, curves, *, utterances=10):
    """Have processes answer with `curves`, epochs by name and seed, in place of trainings; return who was started."""
    started = []

    def fake(part, name, **options):
        key = "torch" if name == "torch" else options["changes"]["recipe"]
        started.append((key, options["seed"]))
        count = utterances if isinstance(utterances, int) else utterances[key]
        answer = (
            {"epochs": curves[key, options["seed"]], "utterances": count} if curves.get((key, options["seed"])) else {}
        )
        first = {"ready": True} if (key, options["seed"]) in curves else {"missing": "torch"}
        code = f"print({json.dumps(first)!r}, flush=True); input(); print({json.dumps(answer)!r}, flush=True)"
        return Contender(name=key, command=(sys.executable, "-c", code))

    monkeypatch.setattr(tta, "contender", fake)
    monkeypatch.setattr(tta, "_features", lambda *_: "features")
    return started


def by_part(found):
    return {result.part: result for result in found}


def test_a_level_is_reached_at_the_first_epoch_whose_median_of_three_is_at_most_it():
    assert reached([20, 90, 30, 25], 30) == 2  # the median of 20, 90 and 30 is 30
    assert reached([20, 20], 30) is None  # two epochs have no median over three
    assert reached([40, 29, 40, 29, 29], 30) == 3  # the medians of the third and the fourth are 40 and 29
    assert reached([31.0] * 9, 30) is None


def test_the_figures_of_a_training_end_where_the_level_was_reached():
    found = tta.figures({"epochs": epochs(50, 29, 28, 20)}, 30.0)  # median of 50, 29, 28: 29, at the third epoch
    assert found == {
        tta.TIME: 2 + 3 * 9,
        "epochs to it": 3,
        "training": 8,
        "evaluation": 1,
        "all else until then": 2,
        "CER at the end": 28,
    }


def test_ours_and_pytorch_take_turns_a_process_for_each_seed(monkeypatch):
    curves = {
        ("paper", 1): epochs(29, 29, 29),  # 2 + 27 = 29 s
        ("paper", 2): epochs(90, 29, 29),  # 29 s too
        ("torch", 1): epochs(29, 29, 29, train_s=18.0),  # 2 + 3 * 19 = 59 s
        ("torch", 2): epochs(29, 29, 29, train_s=18.0),
    }
    started = standing_in(monkeypatch, curves)
    found = by_part(tta.measure(Setting(seeds=(1, 2))))
    assert started == [("torch", 1), ("torch", 1), ("paper", 1), ("paper", 2), ("torch", 2)]  # the first: is it there?
    time = found["time to CER 30, paper"]
    assert (time.ours, time.baseline) == (pytest.approx(29), pytest.approx(59))
    assert time.ratios == (59 / 29, 59 / 29)
    assert f"geometric mean {59 / 29:.2f} of 2 seeds" in time.note
    assert found["training, paper"].ratio == 18 / 8
    assert found["CER at the end, paper"].ours == pytest.approx(29)


def test_another_recipe_of_ours_is_held_against_the_same_pytorch(monkeypatch):
    curves = {
        ("paper", 1): epochs(29, 29, 29),
        ("torch", 1): epochs(29, 29, 29, train_s=18.0),
        ("modern", 1): epochs(29, 29, 29, train_s=3.0),  # 2 + 3 * 4 = 14 s
    }
    standing_in(monkeypatch, curves)
    found = by_part(tta.measure(Setting(recipe="modern")))
    assert found["time to CER 30, modern"].ratios == (59 / 14,)
    assert found["time to CER 30, paper"].ratios == (59 / 29,)


def test_a_level_that_was_not_reached_has_no_time_and_is_said(monkeypatch):
    curves = {("paper", 1): epochs(29, 29, 29), ("torch", 1): epochs(90, 80, 70, 60)}
    standing_in(monkeypatch, curves)
    found = by_part(tta.measure(Setting()))
    time = found["time to CER 30, paper"]
    assert (time.ours, time.baseline, time.ratios) == (pytest.approx(29), None, ())
    assert time.note == "PyTorch's not reached with 1 of 1 seed"
    assert found["training, paper"].ratio == 1


def test_without_pytorch_ours_is_measured_and_the_way_out_is_told(monkeypatch):
    standing_in(monkeypatch, {("paper", 1): epochs(29, 29, 29)})
    found = tta.measure(Setting())
    _, notes = results.parts(found, title="")
    assert by_part(found)["time to CER 30, paper"].ours == pytest.approx(29)
    assert notes.count("pip install -e '.[peers]'") == 1


def test_contenders_that_trained_on_different_corpora_are_refused(monkeypatch):
    curves = {("paper", 1): epochs(29, 29, 29), ("torch", 1): epochs(29, 29, 29)}
    standing_in(monkeypatch, curves, utterances={"paper": 10, "torch": 9})
    with pytest.raises(ContestError, match=r"expected all on the same"):
        tta.measure(Setting())


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["--recipe", "modem"], "recipe 'modem'"), (["--corpus", "nowhere"], "nowhere")],
)
def test_what_cannot_be_trained_is_one_line_before_any_training(arguments, said, tmp_path, capsys):
    assert speed.main(["tta", *arguments, "--data", str(tmp_path)]) == 2
    last = capsys.readouterr().err.strip().splitlines()[-1]
    assert said in last


@pytest.mark.parametrize("arguments", [["--level", "0"], ["--level", "x"], ["--seeds", "0"], ["--epochs", "-1"]])
def test_bad_options_are_2(arguments):
    with pytest.raises(SystemExit) as ended:
        speed.main(["tta", *arguments])
    assert ended.value.code == 2


@pytest.mark.slow
def test_ours_is_a_run_of_the_suite(tone_corpus, tone_data, tmp_path):
    """In a process of its own, as it is measured: a run sets its devices up first."""
    changes = TINY | {"decoder": "greedy"}  # which needs no processes
    options = {"data": str(tone_data), "corpus": str(tone_corpus), "seed": 1, "level": 0.5, "changes": changes}
    code = f"import json; from benchmark.speed import trainings; print(json.dumps(trainings.ours(**{options!r})('go')))"
    (tmp_path / "spoilt.py").write_text(code)
    done = command(tmp_path, "spoilt")
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout.splitlines()[-1])
    found = [Epoch(**each) for each in answer["epochs"]]
    assert answer["utterances"] == 21  # the training utterances of tone_corpus
    assert len(found) == 3  # all there may be: no error rate of 0.5% after these
    assert sum(each.train_s + each.evaluate_s for each in found) < found[-1].ended_s
    assert statistics.mean(each.train_s for each in found) == pytest.approx(answer["train_s"])


# --- PyTorch's, where it is


@pytest.fixture
def torch():
    return pytest.importorskip("torch")


@pytest.fixture
def small():
    from benchmark.speed.trainings import workload_of

    return workload_of(level=30.0, changes=TINY).model


def same_weights(torch, model, peer):
    """Give PyTorch's model the weights of ours: gates in the same order, i, f, g, o; its second bias stays zero."""
    pairs = [(peer.convolution.weight, model.convolution.kernel.numpy().transpose(2, 1, 0))]
    for mine, theirs in zip(model.lstms, peer.lstms, strict=True):
        pairs += [(theirs.weight_ih_l0, mine.kernel.numpy().T), (theirs.weight_hh_l0, mine.recurrent.numpy().T)]
        pairs += [(theirs.bias_ih_l0, mine.bias.numpy()), (theirs.bias_hh_l0, 0 * mine.bias.numpy())]
    kernel, bias = model.output_layer.weights
    pairs += [(peer.output.weight, kernel.numpy().T), (peer.output.bias, bias.numpy())]
    with torch.no_grad():
        for theirs, mine in pairs:
            theirs.copy_(torch.tensor(mine))


@pytest.mark.parametrize("padded", [False, True])
def test_at_equal_weights_the_loss_of_a_batch_is_ours(tf, torch, small, padded):
    """Without dropout. Padding is in PyTorch's batch statistics and not in ours, which moves the loss a little."""
    from benchmark.speed import pytorch
    from models.deepspeech.learner import DeepSpeechLearner

    config, rng = replace(small, dropout=0.0), np.random.default_rng(1)
    frames = [61, 57, 55, 51] if padded else [61] * 4
    features = [rng.standard_normal((count, 93), dtype=np.float32) for count in frames]
    labels = rng.integers(1, 27, (4, 7))
    utterances = [
        pytorch.Utterance(id="", sentence="", features=torch.tensor(each), labels=torch.tensor(label))
        for each, label in zip(features, labels, strict=True)
    ]
    batch = pytorch._together(utterances)
    ours = DeepSpeechLearner(config)
    ours.choose_kernels(dtype="float32", batch=4, frames=61)
    model, peer = ours.build(), pytorch.Network(config)
    same_weights(torch, model, peer)
    part = {
        "features": tf.constant(batch.features.numpy()),
        "frames": tf.constant(frames, tf.int64),
        "labels": tf.constant(labels),
        "label_lengths": tf.constant([7] * 4, tf.int64),
    }
    losses = ours.losses(model, part, tf.constant([1, 1]))
    peer.train()
    expected = float(tf.reduce_mean(losses))
    assert pytorch.loss_of(peer, batch).item() == pytest.approx(expected, rel=1e-2 if padded else 1e-3)


def test_features_are_those_that_the_suite_trains_on(tf, torch, tone_features):
    from benchmark.speed import pytorch
    from features.reading.batches import Buckets, read_batches
    from features.shards import manifest

    found = manifest.load(tone_features)
    mine = {each.id: each for each in pytorch.Utterances(tone_features, found, "train")}
    layout = Buckets.fixed(1670, batch=4)
    for batch in read_batches(tone_features, found, "train", layout, readers=1, buffer=1):
        for n, name in enumerate(batch["id"].numpy()):
            if count := int(batch["frames"][n]):
                peer, labels = mine.pop(name.decode()), batch["labels"][n, : batch["label_lengths"][n]]
                np.testing.assert_allclose(peer.features, batch["features"][n, :count], atol=1e-4)
                assert peer.labels.tolist() == labels.numpy().tolist()
                assert peer.sentence == batch["sentence"][n].numpy().decode()
    assert not mine


def test_an_epoch_has_every_utterance_once_in_batches_of_like_length_and_another_order_each_time(torch, tone_features):
    from benchmark.speed import pytorch
    from features.reading.batches import Buckets
    from features.shards import manifest

    utterances = pytorch.Utterances(tone_features, manifest.load(tone_features), "train")
    layout = Buckets.bucketed(utterances.lengths, batch=4, buckets=3)
    loader = pytorch.batches_of(utterances, layout, seed=1)
    first, second = ([[each.id for each in batch.utterances] for batch in loader] for _ in range(2))
    assert sorted(sum(first, [])) == sorted(sum(second, [])) == sorted(each.id for each in utterances)
    assert first != second
    assert sorted(map(len, first)) == [1, 4, 4, 4, 4, 4]  # 21 utterances
    limits = (0, *layout.boundaries)
    for batch in loader:
        assert np.digitize(batch.frames.max(), limits, right=True) == np.digitize(
            batch.frames.min(), limits, right=True
        )


def test_pytorch_trains_evaluates_and_stops(torch, tone_features):
    """In a process of its own: TensorFlow and what PyTorch's optimisers import crash where they meet."""
    options = {"features": str(tone_features), "seed": 1, "changes": TINY | {"max_epochs": 5}, "jobs": 1}
    with Arena() as arena:
        answer = arena.enter(contender("trainings", "torch", level=1000.0, **options)).ask()
    found = [Epoch(**each) for each in answer["epochs"]]
    assert answer["utterances"] == 21
    assert len(found) == 3  # the first epochs that have a median
    assert found[2].loss < found[0].loss
    assert sum(each.train_s + each.evaluate_s for each in found) < found[-1].ended_s == answer["seconds"]
