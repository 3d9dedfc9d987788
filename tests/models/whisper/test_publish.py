"""What is written beside a Whisper's tensors; test_published.py of the exports has the whole folder read."""

from types import SimpleNamespace

import numpy as np
import pytest

from models.portable import PortableError


def learner_with(prefix, **start):
    tokens = SimpleNamespace(prefix=prefix, end=50257)
    start = SimpleNamespace(suppressed=(), suppressed_first=(), **start)
    return SimpleNamespace(tokens=tokens, start=start, longest=120)


def test_a_multilingual_model_is_asked_for_english_and_an_english_one_for_nothing(tf):
    from models.whisper.publish import _generation

    multilingual = _generation(learner_with((50258, 50259, 50359, 50363)))
    assert multilingual["is_multilingual"] and multilingual["language"] == "<|en|>"
    assert multilingual["lang_to_id"] == {"<|en|>": 50259} and multilingual["task_to_id"] == {"transcribe": 50359}
    assert multilingual["no_timestamps_token_id"] == 50363 and multilingual["max_length"] == 124
    english = _generation(learner_with((50257, 50362)))
    assert not english["is_multilingual"] and not {"language", "task", "lang_to_id"} & english.keys()
    assert (english["decoder_start_token_id"], english["no_timestamps_token_id"]) == (50257, 50362)


def test_fewer_positions_are_the_first_of_more(tf):
    from models.whisper.network import sinusoids

    np.testing.assert_array_equal(sinusoids(500, 384), sinusoids(1500, 384)[:500])


def test_random_weights_have_no_tokens_to_publish(tf, tmp_path):
    from models.whisper.publish import write

    with pytest.raises(PortableError, match="began with random weights, whose tokens are bytes"):
        write(SimpleNamespace(start=None), None, tmp_path)
    assert list(tmp_path.iterdir()) == []
