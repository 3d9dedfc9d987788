import numpy as np
import pytest

from features.corpus.text import ALPHABET_SIZE
from features.frames.kinds import FRONT_ENDS
from features.frames.mfcc import FEATURES
from models.table import config_of


@pytest.fixture(scope="module")
def deepspeech(tf):
    from models.deepspeech import network as deepspeech

    return deepspeech


def small(deepspeech, **options):
    return deepspeech.build(deepspeech.Config(filters=8, units=6, layers=2, **options))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("recipe", "parameters"), [("paper", 25_623_030), ("authors", 25_635_030), ("modern", 15_373_430)]
)
def test_the_papers_size_has_the_papers_parameters_and_modern_fewer(deepspeech, recipe, parameters):
    """Modern, 3 layers: 613,800 + 4,480,000 + 2 x 5,120,000 + 24,000, biases 9,600 + 30, norms 6,000."""
    model = deepspeech.build(config_of({"recipe": recipe}))
    assert sum(int(np.prod(variable.shape)) for variable in model.trainable_variables) == parameters


def test_output_frames_are_those_of_the_convolution(tf, deepspeech):
    paper = deepspeech.Config()
    assert deepspeech.output_frames(1670, paper) == 830
    assert [deepspeech.output_frames(n, paper) for n in (0, 10, 11, 12, 13)] == [0, 0, 1, 1, 2]
    model = small(deepspeech)
    for frames in (11, 12, 13, 50, 51):
        logits = model(tf.zeros([1, frames, 93]), tf.constant([frames]))
        assert logits.shape == (1, deepspeech.output_frames(frames, model.config), 30)
    assert deepspeech.output_frames(tf.constant([0, 11, 1670]), paper).numpy().tolist() == [0, 1, 830]


def test_sizes_agree_with_the_features_and_the_alphabet(deepspeech):
    config = deepspeech.Config()
    assert (config.features, config.alphabet) == (FEATURES, ALPHABET_SIZE)
    kind = FRONT_ENDS[config.front_end]
    assert (config.kernel, config.stride) == (kind.least_frames, kind.frames_a_label)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("recipe", ["paper", "modern"])
def test_padding_and_empty_utterances_change_nothing(tf, deepspeech, training, recipe):
    model = small(deepspeech, dropout=0.0, recipe=recipe)
    x, frames = tf.random.stateless_normal([2, 40, 93], seed=[1, 1]), tf.constant([40, 25])
    padded = tf.pad(x, [[0, 1], [0, 17], [0, 0]], constant_values=3.0)
    expected = model(x, frames, training=training)
    found = model(padded, tf.constant([40, 25, 0]), training=training)
    for utterance, count in enumerate(deepspeech.output_frames(frames, model.config).numpy()):
        np.testing.assert_allclose(found[utterance, :count], expected[utterance, :count], atol=1e-5)


def test_moving_averages_learn_the_valid_frames_only(tf, deepspeech):
    norm = deepspeech.BatchNorm(momentum=0.9)
    x = tf.constant([[[2.0], [4.0], [99.0]]])
    norm(x, tf.constant([[1.0, 1.0, 0.0]]), training=True)
    # Mean of 2 and 4 is 3, variance 1: .9 * 0 + .1 * 3 and .9 * 1 + .1 * 1.
    np.testing.assert_allclose(norm.moved.values, [[0.3], [1.0]], rtol=1e-6)


@pytest.mark.parametrize("valid_frames", [[5, 2, 0], [0, 0, 0]])
def test_the_gradient_of_batch_normalisation_is_the_one_that_tensorflow_derives(tf, deepspeech, valid_frames):
    norm = deepspeech.BatchNorm(momentum=0.9)
    norm.build((None, None, 4))
    x, weights = (2 + tf.random.stateless_normal([5, 3, 4], seed=[1, n]) for n in (1, 2))
    valid = tf.transpose(tf.sequence_mask(valid_frames, 5))

    def plainly(x, gamma, beta):
        chosen = tf.boolean_mask(x, valid)  # [valid frames, 4]
        mean, variance = tf.nn.moments(chosen, 0) if any(valid_frames) else (norm.moving_mean, norm.moving_variance)
        return gamma * (x - mean) / tf.sqrt(variance + 1e-3) + beta

    def gradients(of):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(tf.sin(of()) * weights)
        return tape.gradient(loss, [x, norm.gamma.value, norm.beta.value])

    found = gradients(lambda: norm(x, valid, training=True))
    expected = gradients(lambda: plainly(x, norm.gamma.value, norm.beta.value))
    for a, b in zip(found, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_no_gradient_of_a_broadcast_is_traced_in_batch_normalisation(tf, deepspeech):
    """Each is made in Python before the first batch, and six layers have four or five."""
    norm = deepspeech.BatchNorm(momentum=0.9)
    norm.build((None, None, 4))

    @tf.function
    def gradient(x, valid):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_sum(norm(x, valid, training=True))
        return tape.gradient(loss, [x, *norm.trainable_variables])

    given = tf.TensorSpec([None, 3, 4]), tf.TensorSpec([None, 3], tf.bool)
    nodes = gradient.get_concrete_function(*given).graph.as_graph_def().node
    assert "BroadcastGradientArgs" not in {node.op for node in nodes}


def test_a_batch_without_a_valid_frame_leaves_the_moving_averages(tf, deepspeech):
    norm = deepspeech.BatchNorm(momentum=0.9)
    outputs = norm(tf.ones([2, 3, 4]), tf.zeros([2, 3]), training=True)
    np.testing.assert_allclose(norm.moved.values, [np.zeros(4), np.ones(4)], rtol=1e-6)
    assert np.isfinite(outputs).all()


def test_the_paper_recipe_gives_an_utterance_the_same_logits_in_any_batch_and_authors_does_not(tf, deepspeech):
    x, frames = tf.random.stateless_normal([3, 30, 93], seed=[2, 2]), tf.constant([30, 30, 30])
    for recipe, equal in (("paper", True), ("authors", False), ("modern", True)):
        model = small(deepspeech, recipe=recipe)
        alone, together = model(x[:1], frames[:1]), model(x, frames)[:1]
        assert np.allclose(alone, together, atol=1e-5) == equal, recipe


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16"])
def test_in_mixed_precision_layers_compute_in_16_bits_and_logits_and_weights_stay_in_32(tf, deepspeech, policy):
    import keras

    x, frames = tf.random.stateless_normal([2, 30, 93], seed=[6, 6]), tf.constant([30, 20])
    exact = small(deepspeech, dropout=0.0)
    keras.config.set_dtype_policy(policy)
    try:
        mixed = small(deepspeech, dropout=0.0)
        mixed.set_weights(exact.get_weights())
        logits = mixed(x, frames, training=True)
        assert mixed.lstms[0].compute_dtype == policy.removeprefix("mixed_")
        assert logits.dtype == tf.float32 and {v.dtype for v in mixed.variables} == {"float32"}
    finally:
        keras.config.set_dtype_policy("float32")
    np.testing.assert_allclose(logits, exact(x, frames, training=True), atol=0.1)


def test_dropout_depends_on_its_seed(tf, deepspeech):
    model = small(deepspeech, dropout=0.5)
    x, frames = tf.random.stateless_normal([1, 30, 93], seed=[3, 3]), tf.constant([30])
    one, again, other = (model(x, frames, training=True, seed=tf.constant([7, s])) for s in (1, 1, 2))
    np.testing.assert_array_equal(one, again)
    assert not np.allclose(one, other)


def test_logits_of_the_authors_recipe_are_not_negative_and_its_output_layer_has_a_penalty(tf, deepspeech):
    model = small(deepspeech, recipe="authors")
    x = tf.random.stateless_normal([2, 30, 93], seed=[4, 4])
    assert float(tf.reduce_min(model(x, tf.constant([30, 30])))) == 0.0
    kernel = model.output_layer.kernel.numpy()
    np.testing.assert_allclose(float(model.losses[0]), 1e-8 * (kernel**2).sum(), rtol=1e-5)


@pytest.mark.parametrize("wrong", [{"recipe": "mine"}, {"units": 0}, {"dropout": 1.0}])
def test_a_config_refuses_nonsense(deepspeech, wrong):
    with pytest.raises(ValueError, match="expected"):
        deepspeech.Config(**wrong)
