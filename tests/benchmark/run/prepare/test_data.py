from dataclasses import replace

import pytest

from benchmark import workloads
from benchmark.run.prepare import data

MINI = replace(workloads.load("mini"), sentences=3)


def test_features_of_another_front_end_than_the_models_are_refused(tone_features):
    whisper = workloads.load("whisper").with_model(weights="random")
    with pytest.raises(
        ValueError, match="features of front end mfcc13-logmel80, and model whisper takes logmel80-norm"
    ):
        data.load(tone_features, whisper, jobs=1)
    assert data.load(tone_features, MINI, jobs=1).manifest.utterances("train")


def test_the_embedded_corpus_and_its_features_are_made_once(tmp_path):
    said = []
    first = data.prepare(MINI, folder=tmp_path, say=said.append)
    assert first.manifest.utterances("train") == 1 and first.manifest.utterances("dev") == 1
    assert any("3 sentences, spoken" in line for line in said)
    written = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tfrecord")}
    again = data.prepare(MINI, folder=tmp_path, say=said.append)
    assert again.manifest == first.manifest
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.tfrecord")} == written


def test_two_corpora_of_one_name_do_not_share_features(tmp_path, tone_corpus):
    (tmp_path / "copy").mkdir()
    (tmp_path / "copy" / tone_corpus.name).symlink_to(tone_corpus / "absent")
    speech = workloads.load("speech")
    places = [data._places(speech, tmp_path, corpus)[1] for corpus in (tone_corpus, tmp_path / "x" / tone_corpus.name)]
    assert places[0] != places[1]


def test_a_corpus_without_dev_utterances_is_refused_before_hours_of_extraction(tmp_path):
    from tones import write_chapter

    write_chapter(tmp_path / "corpus", "train-a", 1, ["one"])
    with pytest.raises(
        ValueError, match=r"no utterances in a dev\* folder, there are train-a; move some speakers, one"
    ):
        data.prepare(workloads.load("speech"), folder=tmp_path / "data", corpus=tmp_path / "corpus")
    assert not list((tmp_path / "data").rglob("*.tfrecord"))


def test_what_is_used_and_left_out_is_said_and_a_dev_set_that_lost_much_is_warned_of(tmp_path):
    from tones import write_chapter, write_tone

    write_chapter(tmp_path / "corpus", "train-a", 1, ["one two", "two three"], seconds=0.5)
    write_chapter(tmp_path / "corpus", "dev-a", 2, ["one", "two"], seconds=0.5)
    write_tone(tmp_path / "corpus" / "dev-a" / "2" / "1" / "2-1-0000.flac", seconds=18)
    write_chapter(tmp_path / "corpus", "validated", 3, ["one"], seconds=0.5)
    said = []
    data.prepare(workloads.load("speech"), folder=tmp_path / "data", corpus=tmp_path / "corpus", say=said.append)
    assert "dev-a: 1 of 2 utterances used (0.00 of 0.01 hours); left out: 1 longer than 16.7 s (0.01 hours)" in said
    assert "train-a: 2 utterances, 0.00 hours" in said
    assert any(line.startswith("validated: holds 1 recordings that are not used") for line in said)
    assert (
        "WARNING: 50% of the utterances of dev are left out (longer than 16.7 s): error rates are of the other 1, and "
        "not to be compared with those of the whole set"
    ) in said


def test_fixed_padding_is_the_papers_and_buckets_follow_the_corpus(tone_features):
    from features.shards import manifest

    found = data.Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0)
    assert found.layout(workloads.load("librispeech"), 24).boundaries == (1670,)
    mini = found.layout(workloads.load("mini"), 16)
    assert len(mini.boundaries) <= 4 and mini.boundaries[-1] < 200


@pytest.mark.parametrize(("stride", "left_out"), [(2, 0), (6, 1), (25, 2), (90, None)])
def test_what_a_model_cannot_align_is_left_out_counted_and_never_trained_on(tf, tmp_path, stride, left_out):
    """CTC needs an output for each label: (T - 11) // stride + 1 of T, which are 50, 63, 76, 89 and 102 frames here.

    Stride 6: 7, 9, 11, 14, 16 outputs for 11, 2, 6, 2, 3 labels; stride 25: 2, 3, 3, 4, 4; stride 90: 1, 1, 1, 1, 2.
    """
    from tones import write_chapter

    corpus = tmp_path / "corpus"
    write_chapter(corpus, "train-a", 1, ["one one two", "at", "so two", "to", "one"], seconds=0.5)
    write_chapter(corpus, "dev-a", 2, ["one"], seconds=0.5)
    workload = workloads.load("speech").with_model(stride=stride)
    found = data.prepare(workload, folder=tmp_path / "data", corpus=corpus, say=lambda _: None)
    if left_out is None:
        with pytest.raises(ValueError, match="no utterance is long enough for the model and its labels"):
            found.part(workload)
        return
    part = found.part(workload)
    assert part.unfit == left_out and len(part.lengths) == 5 - left_out
    assert all(edge % stride == 0 for edge in part.layout(workload, 2).boundaries)
    whole = replace(workload, samples=5 - left_out)
    assert found.part(whole).chosen.sum() == 5 - left_out, "a part is of what can be trained on"


def test_librispeech_is_validated_on_dev_clean_and_other_corpora_on_all_dev_subsets(tone_features):
    from features.shards import manifest

    found = data.Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0)
    assert found.validation(workloads.load("librispeech")) == "dev"
    shards = found.manifest.shards
    named = tuple(replace(shard, subset=name) for shard in shards[:1] for name in ("dev-clean", "dev-other"))
    libri = replace(found, manifest=replace(found.manifest, shards=shards[1:] + named))
    assert libri.validation(workloads.load("librispeech")) == "dev-clean"


def test_a_part_is_of_what_was_asked_for_and_more_than_there_is_is_refused(tf, tone_features):
    from features.shards import manifest

    found = data.Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0)
    part = found.part(replace(MINI, samples=9, subset_seed=2))
    assert part.chosen.sum() == len(part.lengths) == 9
    with pytest.raises(ValueError, match=r"99 utterances asked for; .* has 21 to train on: ask for fewer"):
        found.part(replace(MINI, samples=99))


def test_segments_leave_out_what_is_longer_count_it_and_pad_all_others_to_one_length(tf, tone_features):
    """Tones last 1.00, 1.13, 1.26, 1.39 and 1.52 s, in turn: of 11 and of 10 there are 3 + 2 and 2 + 2 too long."""
    from features.shards import account, manifest

    found = data.Data(folder=tone_features, manifest=manifest.load(tone_features), seconds=0)
    cut = replace(MINI, segment_s=1.3)
    part = found.part(cut)
    lengths = found.manifest.lengths("train")
    assert len(part.lengths) == sum(length <= 130 for length in lengths) == 13 and max(part.lengths) == 126
    assert part.layout(cut, 4).boundaries == (130,) and part.layout(cut, 4).batches(part.lengths) == 4
    assert account.longer_than(found.manifest, 1.3) == (
        "segments of 1.3 s: 8 of 21 training utterances (0.00 of 0.01 hours) are longer and left out: of one that is "
        "cut, nobody knows where its transcript would end"
    )
    assert account.longer_than(found.manifest, 0) == account.longer_than(found.manifest, 2.0) == ""
    both = found.part(replace(cut, samples=7, subset_seed=1))
    assert both.chosen.sum() == 7 and not (both.chosen & ~part.chosen).any()
    with pytest.raises(ValueError, match="14 utterances asked for; .* has 13 to train on"):
        found.part(replace(cut, samples=14))
    with pytest.raises(
        ValueError, match=r"no training utterance is at most 0.9 s long, the shortest is 1.00 s; expected"
    ):
        found.part(replace(cut, segment_s=0.9))


def test_to_look_at_data_says_what_preparation_would_and_writes_nothing(tone_corpus, tmp_path):
    workload = workloads.load("speech")
    seen = data.look(workload, folder=tmp_path / "data", corpus=tone_corpus)
    assert not (tmp_path / "data").exists()
    made = data.prepare(workload, folder=tmp_path / "data", corpus=tone_corpus, say=lambda _: None)
    assert (seen.folder, seen.manifest.digest) == (made.folder, made.manifest.digest)
    assert data.look(workload, folder=tmp_path / "data", corpus=tone_corpus).manifest == made.manifest
    with pytest.raises(
        ValueError, match=r"embedded-2500: the embedded corpus is not there yet.*python -m features.synth"
    ):
        data.look(workloads.load("mini"), folder=tmp_path / "none")
