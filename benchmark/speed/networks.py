"""The same training step three times: the suite's own, stock Keras, PyTorch. Contenders of the part `step`.

One convolution, five LSTMs, one dense layer, batch normalisation and 5% dropout between them; CTC; AdaDelta with
learning rate 1.0, rho .95, epsilon 1e-8. Keras's is one tf.function of stock layers with the CTC kernel of
`models.ctc`, so that the models are compared: stock keras.losses.CTC is slower still. All on the first GPU that the
framework can use, else on the CPU. Each answer has the seconds of a step, the last loss, the device, and
`created_s`, from model creation to the first trained batch.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from types import ModuleType

from benchmark.speed.sizes import FEATURES, KERNEL, SIZES, STRIDE, Size
from platforms.machine import usable_cores

Ask = Callable[[str], dict]


def ours(*, size: str, batch: int, precision: str, frames: int | None = None) -> Ask:
    """Time benchmark.run.train.step.TrainStep, segments from a batch in memory."""
    from benchmark.run.prepare import devices
    from benchmark.speed.synthetic import train_step, training_flops

    tf, shape = devices.tf, SIZES[size].of(batch=batch, frames=frames)
    machine = devices.single_device(precision)
    began_s = time.monotonic()
    step, batches = train_step(shape, machine, precision)
    done = 0

    def train(count: int) -> float:
        nonlocal done
        totals = step.segment(batches, tf.constant(done), tf.constant(count))
        done += count
        return float(totals.loss) / float(totals.utterances)

    facts = {"device": _tensorflow_device(tf), "flops": training_flops(shape)}
    return _asking(train, shape, began_s, facts, sync=devices.synchronise)


def keras(*, size: str, batch: int, precision: str, frames: int | None = None) -> Ask:
    """Time keras.layers.Conv1D, LSTM, BatchNormalization, Dropout, Dense in one tf.function, not compiled by XLA."""
    from features.jobs.process import import_tensorflow

    tf = import_tensorflow()
    from models.ctc.loss import ctc_loss

    layers, shape = tf.keras.layers, SIZES[size].of(batch=batch, frames=frames)
    for gpu in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(gpu, True)
    tf.config.experimental.enable_tensor_float_32_execution(precision != "float32")
    tf.keras.mixed_precision.set_global_policy(precision if precision.startswith("mixed_") else "float32")
    began_s = time.monotonic()
    inputs = outputs = tf.keras.Input((None, FEATURES))
    outputs = layers.Conv1D(shape.filters, KERNEL, strides=STRIDE, use_bias=False)(outputs)
    for number in range(shape.layers + 1):
        outputs = layers.LSTM(shape.units, return_sequences=True)(outputs) if number else outputs
        outputs = layers.Dropout(0.05)(layers.BatchNormalization()(outputs))
    model = tf.keras.Model(inputs, layers.Dense(30, dtype="float32")(outputs))
    optimizer = tf.keras.optimizers.Adadelta(learning_rate=1.0, rho=0.95, epsilon=1e-8)
    optimizer.build(model.trainable_variables)
    given = {name: tf.constant(values) for name, values in shape.numbers().items()}
    output_frames = tf.fill([shape.batch], shape.outputs)

    @tf.function
    def train_one() -> tf.Tensor:
        with tf.GradientTape() as tape:
            logits = model(given["features"], training=True)
            losses = ctc_loss(given["labels"], given["label_lengths"], logits, output_frames)
            loss = tf.reduce_sum(losses) / shape.batch
        gradients = tape.gradient(loss, model.trainable_variables)
        optimizer.apply_gradients(zip(gradients, model.trainable_variables, strict=True))
        return loss

    def train(count: int) -> float:
        return float([train_one() for _ in range(count)][-1])

    return _asking(train, shape, began_s, {"device": _tensorflow_device(tf)}, sync=tf.test.experimental.sync_devices)


def torch(*, size: str, batch: int, precision: str, frames: int | None = None) -> Ask:
    """Time nn.Conv1d, nn.LSTM, nn.BatchNorm1d, dropout, F.ctc_loss and optim.Adadelta, eager, on all cores.

    Its OpenMP threads wait for each other by spinning: with other busy processes a step may take many times as long
    (seen: 0.2 s alone, up to 7 s on two busy cores), so that only the fastest of many rounds says much.
    OMP_WAIT_POLICY=PASSIVE avoids that and makes a step at mini size twice as long: no fair baseline either.
    """
    import torch
    from torch import nn

    shape = SIZES[size].of(batch=batch, frames=frames)
    torch.set_num_threads(usable_cores())
    on_gpu = torch.cuda.is_available()
    device = "cuda" if on_gpu else "cpu"
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision != "float32"
    half = {"mixed_bfloat16": torch.bfloat16, "mixed_float16": torch.float16}.get(precision)
    scaler = torch.amp.GradScaler(device, enabled=half is torch.float16)

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [shape.filters] + [shape.units] * shape.layers
            self.convolution = nn.Conv1d(FEATURES, shape.filters, KERNEL, STRIDE, bias=False)
            self.lstms = nn.ModuleList([nn.LSTM(width, shape.units) for width in widths[:-1]])
            self.norms = nn.ModuleList([nn.BatchNorm1d(width) for width in widths])
            self.output = nn.Linear(shape.units, 30)

        def between(self, x_BFT: torch.Tensor, number: int) -> torch.Tensor:
            return nn.functional.dropout(self.norms[number](x_BFT), 0.05).permute(2, 0, 1)

        def forward(self, x_BTF: torch.Tensor) -> torch.Tensor:
            x_TBF = self.between(self.convolution(x_BTF.transpose(1, 2)), 0)
            for number, lstm in enumerate(self.lstms, start=1):
                x_TBF = self.between(lstm(x_TBF)[0].permute(1, 2, 0), number)
            return self.output(x_TBF)

    began_s = time.monotonic()
    model = Network().to(device)
    optimizer = torch.optim.Adadelta(model.parameters(), lr=1.0, rho=0.95, eps=1e-8)
    given = {name: torch.from_numpy(values).to(device) for name, values in shape.numbers().items()}
    labels, lengths = given["labels"].long(), given["label_lengths"].long()
    output_frames = torch.full((shape.batch,), shape.outputs, device=device)

    def train_one() -> torch.Tensor:
        optimizer.zero_grad()
        with torch.autocast(device, dtype=half, enabled=half is not None):
            logits = model(given["features"])
        chances = logits.float().log_softmax(-1)
        loss = nn.functional.ctc_loss(chances, labels, output_frames, lengths, blank=29, reduction="sum") / shape.batch
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        return loss

    def train(count: int) -> float:
        return [train_one() for _ in range(count)][-1].item()

    name = torch.cuda.get_device_name() if on_gpu else "CPU"
    return _asking(train, shape, began_s, {"device": name}, sync=torch.cuda.synchronize if on_gpu else lambda: None)


def _asking(
    train: Callable[[int], float], shape: Size, began_s: float, facts: dict, *, sync: Callable[[], None]
) -> Ask:
    """Warm up by a first batch and by as many as an answer takes; then answer."""
    train(1)
    sync()
    created_s = time.monotonic() - began_s
    train(shape.steps)
    sync()

    def ask(_: str) -> dict:
        started_s = time.monotonic()
        loss = train(shape.steps)
        sync()
        seconds = (time.monotonic() - started_s) / shape.steps
        return {"seconds": seconds, "loss": loss, "created_s": created_s, **facts}

    return ask


def _tensorflow_device(tf: ModuleType) -> str:
    gpus = tf.config.list_physical_devices("GPU")
    return tf.config.experimental.get_device_details(gpus[0]).get("device_name", "GPU") if gpus else "CPU"


CONTENDERS = {"ours": ours, "keras": keras, "torch": torch}
