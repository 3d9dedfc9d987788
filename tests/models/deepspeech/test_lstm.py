"""keras.layers.LSTM is the oracle; peepholes, which it lacks, are checked against the equations written out."""

import numpy as np
import pytest

SIZES = [
    ("xla", 5, 3, 7),
    ("portable", 5, 3, 7),
    pytest.param("xla", 16, 1, 1, marks=pytest.mark.slow),
    ("llvm", 16, 1, 1),
    ("llvm", 48, 7, 9),
    ("llvm", 16, 5, 40),
]


@pytest.fixture(scope="module")
def layers(tf):
    import keras

    from models.deepspeech.lstm import LSTM

    return keras, LSTM


def outputs_and_gradients(tf, layer, inputs):
    """Of inputs [T, B, I], in a graph as in training."""

    @tf.function
    def compute():
        with tf.GradientTape() as tape:
            tape.watch(inputs)
            outputs = layer(inputs)
            loss = tf.reduce_sum(tf.sin(outputs))
        return outputs, tape.gradient(loss, [inputs, *layer.trainable_variables])

    return compute()


def weigh(layer, scale):
    weights = [np.random.default_rng(n).normal(size=w.shape, scale=scale) for n, w in enumerate(layer.get_weights())]
    layer.set_weights(weights)
    return [np.asarray(w, np.float32) for w in weights]


def assert_close(found, expected):
    """Within 1e-4 of the largest value."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * float(np.max(np.abs(expected))) + 1e-7)


@pytest.mark.parametrize(("loop", "units", "batch", "frames"), SIZES)
def test_outputs_and_gradients_are_those_of_keras(tf, layers, loop, units, batch, frames):
    keras, LSTM = layers
    inputs = tf.random.stateless_normal([frames, batch, 6], seed=[1, 2])
    ours = LSTM(units, loop=loop)
    theirs = keras.layers.LSTM(units, return_sequences=True, unit_forget_bias=False)
    ours(inputs), theirs(inputs)
    weigh(ours, 0.4), weigh(theirs, 0.4)
    (y, gradients), (y_keras, gradients_keras) = (
        outputs_and_gradients(tf, layer, inputs) for layer in (ours, lambda_layer(tf, theirs))
    )
    assert_close(y, y_keras)
    for ours_, theirs_ in zip(gradients, gradients_keras, strict=True):
        assert_close(ours_, theirs_)


def lambda_layer(tf, layer):
    """Keras's layer, which has the utterances first, with time first."""

    class TimeFirst:
        trainable_variables = layer.trainable_variables

        def __call__(self, inputs):
            return tf.transpose(layer(tf.transpose(inputs, [1, 0, 2])), [1, 0, 2])

    return TimeFirst()


def written_out(tf, x, kernel, recurrent, bias, peephole):
    """The module's equations, frame by frame, with TensorFlow's own gradient."""
    h = c = tf.zeros([x.shape[1], recurrent.shape[0]])
    outputs = []
    for t in range(x.shape[0]):
        zi, zf, zg, zo = tf.split(x[t] @ kernel + h @ recurrent + bias, 4, axis=1)
        i, f = tf.sigmoid(zi + c * peephole[0]), tf.sigmoid(zf + c * peephole[1])
        c = f * c + i * tf.tanh(zg)
        h = tf.sigmoid(zo + c * peephole[2]) * tf.tanh(c)
        outputs.append(h)
    return tf.stack(outputs)


@pytest.mark.parametrize(("loop", "units"), [("xla", 4), ("llvm", 32), ("portable", 4)])
def test_peepholes_follow_the_equations_and_so_do_their_gradients(tf, layers, loop, units):
    _, LSTM = layers
    inputs = tf.random.stateless_normal([6, 3, 3], seed=[3, 4])
    layer = LSTM(units, peepholes=True, loop=loop)
    layer(inputs)
    weights = [tf.constant(w) for w in weigh(layer, 0.3)]
    outputs, gradients = outputs_and_gradients(tf, layer, inputs)
    with tf.GradientTape() as tape:
        tape.watch([inputs, *weights])
        expected = written_out(tf, inputs, *weights)
        loss = tf.reduce_sum(tf.sin(expected))
    assert_close(outputs, expected)
    for ours, theirs in zip(gradients, tape.gradient(loss, [inputs, *weights]), strict=True):
        assert_close(ours, theirs)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_gradients_that_are_sums_over_all_frames_are_added_up_in_float32(tf, dtype):
    """4,000 gradients of 1/256: added up in bfloat16 they end at 1, where one more no longer counts."""
    from models.deepspeech import lstm

    ones = tf.fill([4000, 3], tf.constant(1 / 256, dtype))
    np.testing.assert_allclose(tf.cast(lstm._summed(ones), "float32"), [15.625] * 3, rtol=0.01)
    dz, cells = tf.fill([4000, 1, 8], tf.constant(1 / 256, dtype)), tf.ones([4001, 1, 2], dtype)
    np.testing.assert_allclose(
        tf.cast(lstm._peephole_gradient(dz, cells), "float32"), np.full((3, 2), 15.625), rtol=0.01
    )


def test_saturated_gates_stay_finite_and_right(tf, layers):
    """Inputs of hundreds, where a quotient of polynomials runs away unless it is clamped."""
    _, LSTM = layers
    inputs = 300 * tf.random.stateless_normal([40, 3, 6], seed=[8, 9])  # as in `compare`: XLA compiles it once
    results = []
    for loop in ("llvm", "xla"):
        layer = LSTM(16, loop=loop)
        layer(inputs)
        weigh(layer, 1.0)
        results.append(outputs_and_gradients(tf, layer, inputs))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=1e-5)
    assert all(np.isfinite(g).all() for g in results[0][1])


@pytest.mark.parametrize("replicas", [1, 2, 4])
def test_replicas_on_logical_cpus_compute_what_one_does(tf, layers, replicas):
    _, LSTM = layers
    strategy = tf.distribute.MirroredStrategy([f"CPU:{n}" for n in range(replicas)])
    inputs = tf.random.stateless_normal([9, replicas * 3, 5], seed=[1, 2])
    with strategy.scope():
        layer = LSTM(16, loop="llvm")
        layer(inputs)

    def gradient(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(layer(inputs)))
        return tape.gradient(loss, layer.trainable_variables[1])

    def share():
        first = 3 * tf.distribute.get_replica_context().replica_id_in_sync_group
        return gradient(inputs[:, first : first + 3])

    of_all = tf.function(lambda: strategy.reduce("SUM", strategy.run(share), axis=None))()
    np.testing.assert_allclose(of_all, gradient(inputs), rtol=1e-4, atol=1e-5)


def test_the_forget_bias_is_where_it_starts(tf, layers):
    _, LSTM = layers
    layer = LSTM(2, forget_bias=1.0)
    layer(tf.zeros([1, 1, 3]))
    assert layer.bias.numpy().tolist() == [0, 0, 1, 1, 0, 0, 0, 0]  # i, f, g, o


@pytest.mark.parametrize(("peepholes", "sums"), [(False, 0), (True, 3)])
def test_gradients_of_peepholes_are_traced_where_there_are_any(tf, layers, peepholes, sums):
    """One sum over frames and utterances for each of i, f and o; what nobody asks for delays the first batch."""
    _, LSTM = layers
    layer = LSTM(16, peepholes=peepholes)
    layer.build((None, 3, 2))

    @tf.function
    def gradients(inputs):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(inputs))
        return tape.gradient(loss, layer.trainable_variables)

    graph = gradients.get_concrete_function(tf.TensorSpec([None, 3, 2])).graph
    assert [node.op for node in graph.as_graph_def().node].count("Einsum") == sums


@pytest.mark.parametrize("units", [4, 16])
def test_frames_have_no_influence_on_earlier_ones(tf, layers, units):
    _, LSTM = layers
    layer = LSTM(units)
    inputs = tf.random.stateless_normal([9, 2, 3], seed=[5, 6])
    np.testing.assert_allclose(layer(inputs)[:5], layer(inputs[:5]), atol=1e-6)


def test_the_kernel_is_llvm_on_a_cpu_where_size_and_precision_fit_else_xla(tf, layers):
    from models.deepspeech.lstm import kernel_for

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU is there")
    assert kernel_for(800, peepholes=True, dtype="float32")[:2] == ("llvm", "there is no GPU")
    kernel, why, _ = kernel_for(801, peepholes=False, dtype="float32")
    assert kernel == "xla" and "801 units fill no vectors" in why
    kernel, why, _ = kernel_for(800, peepholes=False, dtype="bfloat16")
    assert kernel == "xla" and "no float32" in why


def test_cudnns_vector_of_weights_has_the_layout_of_keras(tf, layers):
    from keras.src.backend.tensorflow.rnn import _standardize_cudnn_weights

    from models.deepspeech.lstm import cudnn_parameters

    kernel, recurrent, bias = (tf.random.stateless_normal(s, [1, 2]) for s in ([3, 8], [2, 8], [8]))
    theirs = _standardize_cudnn_weights(
        weights=tf.split(kernel, 4, axis=1) + tf.split(recurrent, 4, axis=1),
        biases=tf.split(tf.concat([tf.zeros([8]), bias], 0), 8),
        shape=tf.constant([-1]),
        transpose_weights=True,
    )
    np.testing.assert_array_equal(cudnn_parameters(kernel, recurrent, bias), theirs)


class CudnnStandIn:
    """In the place of TensorFlow's cuDNN LSTM: computes by Keras's equations what `spoil` then changes."""

    def __init__(self, tf, units, inputs, *, spoil=lambda outputs: outputs):
        self.tf, self.units, self.inputs, self.spoil, self.asked = tf, units, inputs, spoil, []

    def __call__(self, *, input, params, is_training, **_):
        self.asked.append(is_training)
        sizes = [self.inputs * self.units] * 4 + [self.units**2] * 4 + [4 * self.units] * 2
        parts = self.tf.split(params, sizes)
        kernel, recurrent = (
            self.tf.concat([self.tf.transpose(self.tf.reshape(m, [self.units, -1])) for m in matrices], 1)
            for matrices in (parts[:4], parts[4:8])
        )
        return [self.spoil(self._outputs(input, kernel, recurrent, parts[8] + parts[9]))]

    def _outputs(self, inputs, kernel, recurrent, bias):
        tf = self.tf

        def step(state, x):
            h, c = state
            zi, zf, zg, zo = tf.split(x @ kernel + h @ recurrent + bias, 4, axis=1)
            c = tf.sigmoid(zf) * c + tf.sigmoid(zi) * tf.tanh(zg)
            return tf.sigmoid(zo) * tf.tanh(c), c

        nothing = tf.zeros([inputs.shape[1], self.units])
        return tf.scan(step, inputs, (nothing, nothing))[0]


def test_cudnn_is_used_if_its_outputs_and_gradients_are_right_and_the_reason_is_told_if_not(tf, layers, monkeypatch):
    """Its right self; a forget gate's bias in the wrong gate; a wrong gradient of right outputs; NaN; an error."""
    from models.deepspeech import lstm

    def half_the_gradient(outputs):
        return 0.5 * outputs + tf.stop_gradient(0.5 * outputs)

    def fail(outputs):  # while it runs, not while it is traced
        broken = tf.debugging.Assert(False, ["Failed to call DoRnnForward"])
        with tf.control_dependencies([broken]):
            return tf.identity(outputs)

    cases = {
        "": lambda outputs: outputs,
        "cuDNN's outputs or gradients are not XLA's": half_the_gradient,
    }
    for expected, spoil in cases.items():
        monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", CudnnStandIn(tf, 16, 6, spoil=spoil))
        assert lstm._difference("float32") == expected
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", CudnnStandIn(tf, 16, 6, spoil=fail))
    assert "cuDNN's failed: assertion failed: [Failed to call DoRnnForward]" in lstm._difference("float32")
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", CudnnStandIn(tf, 16, 6, spoil=lambda y: y * float("nan")))
    assert "not XLA's" in lstm._difference("float32")
    swapped = lstm.cudnn_parameters

    def misplaced(kernel, recurrent, bias):
        i, f, g, o = tf.split(bias, 4)
        return swapped(kernel, recurrent, tf.concat([f, i, g, o], 0))

    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", CudnnStandIn(tf, 16, 6))
    monkeypatch.setattr(lstm, "cudnn_parameters", misplaced)
    assert "not XLA's" in lstm._difference("float32")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_the_kernels_that_are_used_here_agree_with_xla_in_float32(tf, dtype):
    from models.deepspeech import lstm

    kernel = "llvm" if dtype == "float32" and lstm.recurrence.fits(16) else "xla"
    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU has others")
    assert lstm.compare(dtype) == {kernel: ""}


def test_a_kernel_whose_gradient_is_wrong_is_told(tf, monkeypatch):
    from models.deepspeech import lstm

    if tf.config.list_logical_devices("GPU") or not lstm.recurrence.fits(16):
        pytest.skip("LLVM's is not used here")
    wrong = {**lstm._LLVM, "backward": lambda *given: [0.5 * each for each in lstm._llvm_backward(*given)]}
    monkeypatch.setitem(lstm._LOOPS, "llvm", wrong)
    assert lstm.compare("float32") == {"llvm": "LLVM's outputs or gradients are not XLA's in float32"}


def test_an_evaluation_asks_cudnn_for_no_reserve_space(tf, layers, monkeypatch):
    _, LSTM = layers
    cudnn = CudnnStandIn(tf, 4, 3)
    monkeypatch.setattr(tf.raw_ops, "CudnnRNNV3", cudnn)
    layer, inputs = LSTM(4, loop="cudnn"), tf.random.stateless_normal([5, 2, 3], [1, 2])
    trained, evaluated = layer(inputs, training=True), layer(inputs, training=False)
    np.testing.assert_array_equal(trained, evaluated)
    assert cudnn.asked == [True, False]


def test_xla_knows_how_long_the_loops_are(tf, layers):
    """Else a GPU hands the loop's condition to the host after every frame."""
    from models.deepspeech import lstm

    xw, recurrent, peephole = tf.zeros([7, 2, 16]), tf.zeros([4, 16]), tf.zeros([3, 4])
    loops = {
        lstm._xla_forward: (xw, recurrent, peephole),
        lstm._xla_backward_loop: (xw[:, :, :4], xw, tf.zeros([8, 2, 4]), tf.transpose(recurrent), peephole),
    }
    for loop, given in loops.items():
        text = loop.experimental_get_compiler_ir(*given)(stage="optimized_hlo")
        assert '"known_trip_count":{"n":"7"}' in text


def test_on_a_gpu_cudnn_and_xla_agree(tf, layers):
    if not tf.config.list_logical_devices("GPU"):
        pytest.skip("no GPU")
    _, LSTM = layers
    inputs = tf.random.stateless_normal([40, 3, 6], seed=[1, 2])
    results = []
    for loop in ("cudnn", "xla"):
        layer = LSTM(16, loop=loop)
        layer(inputs)
        weigh(layer, 0.4)
        results.append(outputs_and_gradients(tf, layer, inputs))
    np.testing.assert_allclose(results[0][0], results[1][0], atol=2e-3)  # tf32


def test_the_code_made_for_other_processors_gives_the_same_numbers(monkeypatch):
    """Vectors of 8 and 4 lanes, two rows at once, and more cores than there are, which then give way to each other."""
    from models import llvm
    from models.deepspeech import recurrence

    rng = np.random.default_rng(0)
    xw, recurrent, peephole, dh = (
        rng.normal(size=s, scale=0.5).astype(np.float32) for s in [(7, 5, 64), (16, 64), (3, 16), (7, 5, 16)]
    )

    def compute():
        h, gates, c = recurrence.forward(xw, recurrent, peephole)
        return h, gates, c, *recurrence.backward(dh, gates, c, recurrent, peephole)

    expected = compute()
    monkeypatch.setattr(llvm, "cores", lambda: 3)
    for lanes in (8, 4):
        monkeypatch.setattr(llvm, "lanes", lambda lanes=lanes: lanes)
        for found, wanted in zip(compute(), expected, strict=True):
            np.testing.assert_allclose(found, wanted, atol=1e-5)
