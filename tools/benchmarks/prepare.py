"""Trains a model, exports it and makes its reference; what is there already is kept.

  python -m tools.benchmarks.prepare WORK_DIR MODEL NODES EXAMPLES
"""

import json
import sys
import time

import numpy as np
import tensorflow as tf

from tools.benchmarks import models, networks_tensorflow, workplace

ROWS = 128  # of the reference at a time


def prepare(where, nodes, count):
    """Makes what is missing in a `Place`.

    Args:
      where: a `Place`.
      nodes: of the reference.
      count: examples that get a reference.
    """
    where.folder.mkdir(parents=True, exist_ok=True)
    if not (where.folder / "facts.json").exists():
        _trained(where)
    weights = {name: tf.constant(value) for name, value in where.weights().items()}
    reference = where.folder / "reference.npz"
    if not reference.exists() or len(where.reference()["start"]) < count or (
            where.reference()["nodes"] != nodes):
        examples = where.examples()
        found = referenced(where.model, weights, examples["inputs"][:count],
                           examples["target"][:count], nodes)
        np.savez(reference, nodes=nodes, **found)


def _trained(where):
    model = where.model
    random = np.random.default_rng(5)
    variables = {name: tf.Variable(value, name=name)
                 for name, value in model.first_weights().items()}
    began = time.perf_counter()
    losses = _train(model, variables, random)
    inputs, labels = model.examples(model, random, 512)
    scores = networks_tensorflow.head(
        model, variables, networks_tensorflow.lookup(model, variables, inputs)).numpy()
    found = scores > 0.5 if model.classes == 1 else scores.argmax(1)
    _export(where, variables)
    np.savez(where.folder / "weights.npz", **{k: v.numpy() for k, v in variables.items()})
    np.savez(where.folder / "examples.npz", inputs=inputs[:models.EXAMPLES],
             target=np.zeros(models.EXAMPLES, np.int64) if model.classes == 1
             else found[:models.EXAMPLES], scores=scores[:models.EXAMPLES])
    facts = {"accuracy": float(np.mean(found == labels)), "first_loss": losses[0],
             "last_loss": float(np.mean(losses[-10:])),
             "seconds": time.perf_counter() - began}
    (where.folder / "facts.json").write_text(json.dumps(facts), encoding="utf-8")


def _train(model, variables, random):
    """Cross entropy by Adam; the loss of each step."""
    steps, size, rate = model.training
    optimizer = tf.keras.optimizers.Adam(rate)
    trained = list(variables.values())
    optimizer.build(trained)

    @tf.function
    def step(inputs, labels):
        with tf.GradientTape() as tape:
            x = networks_tensorflow.lookup(model, variables, inputs)
            scores = networks_tensorflow.head(model, variables, x)
            if model.classes == 1:
                scores = tf.stack([1 - scores, scores], 1)
            picked = tf.gather(scores, labels, batch_dims=1)
            loss = -tf.reduce_mean(tf.math.log(picked + 1e-6))
        optimizer.apply_gradients(zip(tape.gradient(loss, trained), trained))
        return loss

    return [float(step(*model.examples(model, random, size))) for _ in range(steps)]


def _export(where, variables):
    """The SavedModel: ids or pictures in, scores out."""
    model, module = where.model, tf.Module()
    module.weights = variables
    kind = tf.int64 if model.vocabulary else tf.float32
    name = "ids" if model.vocabulary else "image"

    @tf.function(input_signature=[tf.TensorSpec([None, *model.shape], kind, name=name)])
    def serve(inputs):
        x = networks_tensorflow.lookup(model, module.weights, inputs)
        return {model.output: networks_tensorflow.head(model, module.weights, x)}

    module.serve = serve
    tf.saved_model.save(module, str(where.saved_model), signatures={"serving_default": serve})


def picked(model, scores, target):
    """The explained number of each row."""
    return scores if model.classes == 1 else tf.gather(scores, target, batch_dims=1)


def referenced(model, weights, inputs, target, nodes):
    """Integrated gradients by Gauss-Legendre nodes of numpy, summed in float64.

    The path is straight behind the affine part too, so that gradients are taken there and pulled
    back once: the same numbers, much sooner.

    Returns:
      {attributions [examples, ...], start [examples], end [examples]}.
    """
    alphas, shares = np.polynomial.legendre.leggauss(nodes)
    alphas, shares = np.float32((alphas + 1) / 2), shares / 2

    @tf.function
    def gradients(start, end, part, label):
        rows = [a + tf.reshape(part, [-1] + [1] * (a.shape.rank - 1)) * (b - a)
                for a, b in zip(start, end)]
        scores = networks_tensorflow.rest(model, weights, rows)
        score = picked(model, scores, tf.fill(tf.shape(part), label))
        return tf.gradients(score, rows)

    found = {"attributions": [], "start": [], "end": []}
    for value, label in zip(inputs, target):
        x = networks_tensorflow.lookup(model, weights, value[None])
        with tf.GradientTape() as tape:
            tape.watch(x)
            end = networks_tensorflow.affine(model, weights, x)
        start = networks_tensorflow.affine(model, weights, tf.zeros_like(x))
        totals = [np.zeros(z.shape, np.float64) for z in end]
        for first in range(0, nodes, ROWS):
            part = slice(first, first + ROWS)
            slopes = gradients(start, end, tf.constant(alphas[part]), label)
            for total, slope in zip(totals, slopes):
                total += np.tensordot(shares[part], np.float64(slope), 1)
        pulled = tape.gradient(end, x, [tf.constant(total, tf.float32) for total in totals])
        found["attributions"].append(np.float64(pulled * x)[0])
        for key, frontier in (("start", start), ("end", end)):
            scores = networks_tensorflow.rest(model, weights, frontier)
            found[key].append(float(picked(model, scores, tf.constant([label]))[0]))
    return {key: np.array(value) for key, value in found.items()}


if __name__ == "__main__":
    prepare(workplace.place(sys.argv[1], sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
