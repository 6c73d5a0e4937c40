"""The models of the benchmark as data: shapes, first weights, and examples with a structure to
learn. Numpy only: every contender reads this, whatever its framework."""

import dataclasses

import numpy as np

EXAMPLES = 64  # that are timed
MEASURED = 32  # that errors may be measured on, the first ones; the others may be calibrated on
NOISE = 0.12   # share of wrong labels, so that no model becomes certain of all


@dataclasses.dataclass(frozen=True)
class Model:
    """One model of the benchmark.

    Attributes:
      name: how flags and tables call it; the key of the networks too.
      title: what it is, in words.
      shape: of one example's input: ids, or an image.
      vocabulary: rows of the table that ids are looked up in; 0 for images.
      width: of one looked-up vector; 0 for images.
      classes: number of outputs; with 1 it is one probability.
      weights: callable(model, random generator) -> {name: first value}, without the table.
      examples: callable(model, random generator, count) -> (inputs, labels).
      training: (steps, examples of a step, learning rate).
    """

    name: str
    title: str
    shape: tuple
    vocabulary: int
    width: int
    classes: int
    weights: object
    examples: object
    training: tuple

    @property
    def output(self):
        """Name of the output."""
        return "probability" if self.classes == 1 else "probabilities"

    def first_weights(self):
        """{name: float32 array} before training, the same each time."""
        random = np.random.default_rng(7)
        found = self.weights(self, random)
        if self.vocabulary:
            scale = found.pop("table_scale", 0.5)
            found["table"] = random.normal(size=[self.vocabulary, self.width]) * scale
        return {name: np.asarray(value, np.float32) for name, value in found.items()}


def _dense(random, *widths, prefix="dense"):
    """Kernels and biases of a chain of dense layers."""
    found = {}
    for number, (rows, columns) in enumerate(zip(widths, widths[1:])):
        found[f"{prefix}{number}"] = random.normal(size=[rows, columns]) * np.sqrt(2 / rows)
        found[f"{prefix}{number}_bias"] = np.zeros(columns)
    return found


def _ranker_weights(model, random):
    return _dense(random, model.shape[0] * model.width, 1024, 512, 256, 1)


def _text_cnn_weights(model, random):
    found = _dense(random, 3 * 256, model.classes)
    for size in (3, 4, 5):
        scale = np.sqrt(2 / (size * model.width))
        found[f"conv{size}"] = random.normal(size=[size, model.width, 256]) * scale
        found[f"conv{size}_bias"] = np.zeros(256)
    return found


def _pooled_weights(model, random):
    found = _dense(random, model.width, 256, 64, model.classes)
    found["dense0"] *= 4  # a mean of many vectors is small
    return found


def _gru_weights(model, random):
    found = _dense(random, 128, model.classes)
    found["input"] = random.normal(size=[model.width, 3 * 128]) / np.sqrt(model.width)
    found["state"] = random.normal(size=[128, 3 * 128]) / np.sqrt(128)
    found["table_scale"] = 0.1  # larger ones drive the gates into their ends
    found["input_bias"], found["state_bias"] = np.zeros(3 * 128), np.zeros(3 * 128)
    return found


def _transformer_weights(model, random):
    width = model.width
    found = _dense(random, width, model.classes)
    found["positions"] = random.normal(size=[model.shape[0], width]) * 0.1
    for layer in range(2):
        for name in ("query", "key", "value", "mixed"):
            found[f"{name}{layer}"] = random.normal(size=[width, width]) / np.sqrt(width)
            found[f"{name}{layer}_bias"] = np.zeros(width)
        found.update(_dense(random, width, 4 * width, width, prefix=f"wide{layer}_"))
        for name in ("first", "second"):
            found[f"{name}{layer}_scale"] = np.ones(width)
            found[f"{name}{layer}_shift"] = np.zeros(width)
    return found


RESNET_STAGES = ((16, 2), (32, 2), (64, 2))  # channels, blocks


def _resnet_weights(model, random):
    def kernel(name, size, narrow, wide):
        scale = np.sqrt(2 / (size * size * narrow))
        found[name] = random.normal(size=[size, size, narrow, wide]) * scale
        found[f"{name}_scale"], found[f"{name}_shift"] = np.ones(wide), np.zeros(wide)

    found = _dense(random, RESNET_STAGES[-1][0], model.classes)
    channels = RESNET_STAGES[0][0]
    kernel("stem", 3, model.shape[-1], channels)
    for stage, (wide, blocks) in enumerate(RESNET_STAGES):
        for block in range(blocks):
            name = f"block{stage}_{block}"
            kernel(f"{name}_a", 3, channels, wide)
            kernel(f"{name}_b", 3, wide, wide)
            found[f"{name}_b_scale"] *= 0.5  # blocks start near the identity
            if block == 0 and stage:
                kernel(f"{name}_skip", 1, channels, wide)
            channels = wide
    return found


def _labels(random, classes, wanted):
    """Labels with some noise."""
    wrong = random.random(len(wanted)) < NOISE
    return np.where(wrong, random.integers(0, max(classes, 2), len(wanted)), wanted)


def _visits(model, random, count):
    """Ids of 40 fields; a few fields, alone and in pairs, decide on the label."""
    fields = model.shape[0]
    each = model.vocabulary // fields
    ids = np.minimum(random.zipf(1.3, [count, fields]) - 1, each - 1)
    taste = np.random.default_rng(11).normal(size=[fields, each])
    alone = taste[np.arange(fields), ids]
    score = alone[:, :12].sum(1) + 2 * (alone[:, 0:12:2] * alone[:, 1:12:2]).sum(1)
    return ids + each * np.arange(fields), _labels(random, 2, (score > 0).astype(np.int64))


def _texts(model, random, count):
    """Frequent and rare words; each class has words, and pairs of words in order, of its own."""
    length, classes = model.shape[0], model.classes
    ids = np.minimum(random.zipf(1.2, [count, length]) + 9, model.vocabulary - 1)
    wanted = random.integers(0, classes, count)
    words = np.random.default_rng(12).permutation(model.vocabulary - 400)[:classes * 30] + 400
    words = words.reshape(classes, 30)
    said = random.random([count, length]) < 0.06
    ids = np.where(said, words[wanted[:, None], random.integers(0, 30, [count, length])], ids)
    place = random.integers(0, length - 2, count)
    for row, (start, label) in enumerate(zip(place, wanted)):
        ids[row, start:start + 2] = 300 + label, 300 + (label + 1) % classes
    return ids, _labels(random, classes, wanted)


def _pictures(model, random, count):
    """A pattern of each class at some place of a noisy picture, in [0, 1]."""
    side = model.shape[0]
    wanted = random.integers(0, model.classes, count)
    patterns = np.random.default_rng(13).random([model.classes, 3, 3, model.shape[-1]])
    patterns = patterns.repeat(4, 1).repeat(4, 2)
    pictures = random.normal(0.35, 0.12, [count, *model.shape])
    for row, label in enumerate(wanted):
        top, left = random.integers(0, side - 12, 2)
        pictures[row, top:top + 12, left:left + 12] += 1.2 * patterns[label] - 0.6
    return np.clip(pictures, 0, 1).astype(np.float32), _labels(random, model.classes, wanted)


MODELS = {model.name: model for model in (
    Model("ranker", "ranker: 40 embeddings x 32, dense 1024-512-256-1",
          (40,), 40000, 32, 1, _ranker_weights, _visits, (300, 128, 1e-3)),
    Model("text_cnn", "text CNN: 128 x 128, widths 3, 4, 5 x 256, max pool",
          (128,), 20000, 128, 4, _text_cnn_weights, _texts, (120, 32, 1e-3)),
    Model("pooled", "pooled text classifier: vocabulary 20,000, bag 128 x 128, dense 256-64",
          (128,), 20000, 128, 4, _pooled_weights, _texts, (400, 128, 2e-3)),
    Model("gru", "GRU: 64 x 64, 128 units", (64,), 5000, 64, 4, _gru_weights, _texts,
          (300, 64, 2e-3)),
    Model("transformer", "transformer encoder: 64 x 64, 2 layers, 4 heads, post-norm",
          (64,), 5000, 64, 4, _transformer_weights, _texts, (300, 64, 1e-3)),
    Model("resnet", "ResNet-like CNN: 32 x 32 x 3, 3 stages of 2 blocks, inference batch norm",
          (32, 32, 3), 0, 0, 6, _resnet_weights, _pictures, (300, 32, 2e-3)),
    Model("tiny", "for the tests: 6 embeddings x 4, dense 8",
          (6,), 60, 4, 1, lambda model, random: _dense(random, 24, 8, 1), _visits,
          (40, 32, 1e-2)),
)}
DEFAULT_MODELS = tuple(name for name in MODELS if name != "tiny")
