"""One case: something sound is changed, ig_tf is asked, and what happens is judged.

An outcome is (kind, detail). Fine are: `refused` (one IgTfError), `agrees` (an answer that is what
TensorFlow says of the changed model), `answered` (an answer with nothing to compare it with).
Everything else is a failure: `traceback`, `disagrees`, `broken output`; and, seen from outside,
`crash` and `hang`.
"""

import json
import os
import pathlib
import random
import shutil
import traceback

import numpy as np

from ig_tf.errors import IgTfError
from tools.fuzzing import mutate_files, mutate_model

FINE = ("refused", "agrees", "answered")
STEPS = 3
_TOLERANCE = 2e-4  # of the largest number: float32 sums in another order


def of_model(base, number, folder, say):
    """A changed message: instrumented, and compared with the changed model itself.

    Args:
      base: a `Base`.
      number: seed.
      folder: an empty one.
      say: function(phase), before each phase.
    """
    dice = random.Random(number)
    model, out = os.path.join(folder, "model"), os.path.join(folder, "out")
    shutil.copytree(base.folder, model, copy_function=os.link)
    file = os.path.join(model, "saved_model.pb")
    data = pathlib.Path(file).read_bytes()
    changed, names = mutate_model.mutate(dice, data)
    os.unlink(file)
    pathlib.Path(file).write_bytes(changed)
    say("ig_tf")
    try:
        plan = _instrumented(model, out)
    except IgTfError as error:
        return "refused", f"{type(error).__name__}: {error}", names
    if not base.inputs:
        return "answered", "written", names
    try:
        answer = answer_of(out, base.inputs)
    except IgTfError as error:
        answer = error
    say("tensorflow")
    return (*_judged(plan, model, base.inputs, answer), names)


def _instrumented(model, out):
    import ig_tf
    plan = ig_tf.instrument(ig_tf.load(model), steps=STEPS)
    ig_tf.save(plan, out)
    return plan


def answer_of(out, inputs):
    from ig_tf.run import artifact
    loaded = artifact.load(out)
    missing = set(loaded.inputs) - set(inputs)
    if missing:
        raise IgTfError(f"the changed signature wants {missing}")
    return loaded.run({name: inputs[name] for name in loaded.inputs})


def _judged(plan, model, inputs, answer):
    """The answer against TensorFlow's of the same SavedModel."""
    return judged(lambda: _PlainSaved(plan, model, inputs), answer)


def judged(opened, answer):
    """The answer, or the error instead of one, against TensorFlow's: (kind, detail).

    Args:
      opened: function() -> `Plain`; whatever it raises, TensorFlow says of the model.
      answer: {output: array}, or an IgTfError.
    """
    try:
        plain = opened()
        expected, again = plain.scores(), plain.scores()
    except Exception as error:  # whatever TensorFlow says of a broken model
        said = f"TensorFlow: {type(error).__name__}"
        return ("refused" if isinstance(answer, IgTfError) else "answered"), said
    if isinstance(answer, IgTfError):
        text = str(answer)
        if "allow_unsafe_ops" in text or "changed signature wants" in text:
            return "refused", text
        return "broken output", f"TensorFlow answers; the output does not: {text}"
    if not _equal(expected, again):
        return "answered", "random"
    if not _equal(np.reshape(expected, -1), np.reshape(answer["prediction"], -1)):
        return "disagrees", f"prediction {answer['prediction']}; TensorFlow: {expected}"
    try:
        gradients = plain.attributions()
    except Exception:  # TensorFlow has no gradient of the model as it is
        gradients = {}
    for name, values in gradients.items():
        if not _equal(values, answer[f"attributions/{name}"]):
            return "disagrees", (f"attributions/{name} {answer[f'attributions/{name}']}; a plain "
                                 f"loop: {values}")
    return "agrees", f"{len(gradients)} points"


def _equal(one, two):
    one, two = np.asarray(one, np.float64), np.asarray(two, np.float64)
    if one.shape != two.shape:
        return False
    finite = one[np.isfinite(one)]
    return np.allclose(one, two, rtol=_TOLERANCE, equal_nan=True,
                       atol=_TOLERANCE * max(1.0, np.abs(finite).max(initial=0)))


class Plain:
    """A changed model, as TensorFlow runs and differentiates it by itself.

    Attributes:
      plan: what ig_tf made of it.
      function: function of the inputs by name -> {output: tensor}.
      given: {input: tensor}.
    """

    def __init__(self, plan, function, given):
        self.plan, self.function, self.given, self.top = plan, function, given, None

    def target(self, tensors):
        import tensorflow as tf
        scores = self.function(**tensors)[self.plan.recipe.target.output]
        index = self.plan.recipe.target.index
        if index is None:
            return tf.reshape(scores, [tf.shape(scores)[0], -1])[:, 0]
        if isinstance(index, (int, tuple)):
            return scores[(slice(None), *np.atleast_1d(index).tolist())]
        if self.top is None:  # the class is that of the inputs, all along the path
            self.top = tf.argmax(scores, 1)
        return tf.gather(scores, self.top, batch_dims=1)

    def scores(self):
        return self.target(self.given).numpy()

    def attributions(self):
        """{point: attributions} by a plain loop, where the points are the inputs themselves."""
        import tensorflow as tf
        keys = {tensor: key for key, tensor in self.plan.model.inputs().items()}
        points = self.plan.recipe.points
        if self.plan.described()["changed_in_the_copy"] or any(
                point.tensor not in keys for point in points):
            return {}
        given, rule = self.given, self.plan.recipe.rule
        sums = {point.name: 0.0 for point in points}
        for alpha, weight in zip(rule.nodes, rule.weights):
            moved = {point.name: given[keys[point.tensor]] * tf.cast(
                alpha, given[keys[point.tensor]].dtype) for point in points}
            with tf.GradientTape() as tape:
                tape.watch(moved)
                score = self.target({**given, **{keys[point.tensor]: moved[point.name]
                                                 for point in points}})
            for name, gradient in tape.gradient(score, moved, unconnected_gradients="zero").items():
                sums[name] += weight * gradient.numpy().astype(np.float64)
        return {point.name: sums[point.name] * given[keys[point.tensor]].numpy()
                for point in points}


class _PlainSaved(Plain):
    """A changed SavedModel, as TensorFlow loads it."""

    def __init__(self, plan, model, inputs):
        import tensorflow as tf
        self.owner = tf.saved_model.load(model, tags=plan.model.tags)
        function = self.owner.signatures[plan.model.signature_name]
        specs = function.structured_input_signature[1]
        super().__init__(plan, function, {
            name: tf.constant(inputs[name], spec.dtype) for name, spec in specs.items()})


def of_metadata(sound, number, folder, say):
    """A changed record of the instrumentation: refused, or the answer is as before."""
    from ig_tf.run import attribute
    model = os.path.join(folder, "model")
    shutil.copytree(sound.model, model, copy_function=os.link)
    file = pathlib.Path(model, "assets.extra", "ig_tf.json")
    data, name = mutate_files.mutate_json_bytes(random.Random(number), file.read_bytes())
    file.unlink()
    file.write_bytes(data)
    say("ig_tf")
    try:
        found = attribute.attribute(model, sound.rows)
        _drawn(found)
    except IgTfError as error:
        return "refused", f"{type(error).__name__}: {error}", [name]
    return "answered", f"{len(found)} rows", [name]


def _drawn(results):
    """The page that `ig-tf report` would write, and the rows as files."""
    from ig_tf.rendering import report
    from ig_tf.run.results import row_of
    report.render(results).encode("utf-8")
    json.dumps([row_of(result) for result in results])


def of_input(sound, number, folder, say):
    """A changed file of inputs, of one of the formats."""
    from ig_tf.run import attribute
    dice = random.Random(number)
    ending = dice.choice(sorted(sound.inputs))
    data = sound.inputs[ending]
    if ending == "jsonl" and dice.random() < 0.6:
        lines = data.split(b"\n")
        place = dice.randrange(len(lines) - 1)
        lines[place], name = mutate_files.mutate_json_bytes(dice, lines[place])
        data = b"\n".join(lines)
    else:
        data, name = mutate_files.mutate_bytes(dice, data)
    file = pathlib.Path(folder, f"rows.{ending}")
    file.write_bytes(data)
    say("ig_tf")
    try:
        found = attribute.attribute(sound.loaded(ending), str(file))
    except IgTfError as error:
        return "refused", f"{type(error).__name__}: {error}", [f"{ending}: {name}"]
    return "answered", f"{len(found)} rows", [f"{ending}: {name}"]


def of_results(sound, number, folder, say):
    """A changed file of results: refused, or it can be drawn and written again."""
    from ig_tf.run import results
    dice = random.Random(number)
    which = dice.choice(("jsonl", "about", "npz"))
    file = pathlib.Path(folder, f"results.{'npz' if which == 'npz' else 'jsonl'}")
    card = results.about_path(file)
    if which == "npz":
        data, name = mutate_files.mutate_bytes(dice, sound.results["npz"])
        file.write_bytes(data)
    else:
        lines = sound.results["jsonl"].split(b"\n")
        about, place = sound.results["about"], dice.randrange(len(lines) - 1)
        if which == "about":
            about, name = mutate_files.mutate_json_bytes(dice, about)
        else:
            lines[place], name = mutate_files.mutate_json_bytes(dice, lines[place])
        file.write_bytes(b"\n".join(lines))
        card.write_bytes(about)
    say("ig_tf")
    try:
        about, rows = results.read(file)
        _drawn(rows)
        results.write(file.with_name(f"again.{'npz' if number % 2 else 'jsonl'}"), rows, about)
    except IgTfError as error:
        return "refused", f"{type(error).__name__}: {error}", [f"{which}: {name}"]
    return "answered", f"{len(rows)} rows", [f"{which}: {name}"]


class Sound:
    """Instrumented models with files of inputs and results, all of them right.

    Attributes:
      model: folder of the one that takes words and numbers.
      rows: records of it.
      inputs: {ending: bytes} of input files.
      results: {"jsonl", "about", "npz": bytes}.
    """

    def __init__(self, folder, models):
        """In a folder of its own; `models`: {name: `Base`}."""
        self._folder, self._loaded = pathlib.Path(folder), {}
        self._bases = {"csv": models["columns_2"], "tfrecord": models["examples_2"],
                       "jsonl": models["words_2"], "npz": models["words_2"]}
        self.model = self._path(models["words_2"])
        self.rows = _records(models["words_2"])
        self.inputs = self._input_files()
        self.results = self._result_files()

    def _path(self, base):
        path = self._folder / base.name
        if not path.is_dir():
            _instrumented(base.folder, str(path))
        return str(path)

    def loaded(self, ending):
        """The `Artifact` that takes files of this ending."""
        from ig_tf.run import artifact
        base = self._bases[ending]
        if base.name not in self._loaded:
            self._loaded[base.name] = artifact.load(self._path(base))
        return self._loaded[base.name]

    def _input_files(self):
        import tensorflow as tf
        lines = "".join(json.dumps(row) + "\n" for row in self.rows)
        columns = _records(self._bases["csv"])
        table = "number,word\n" + "".join(f"{row['number']},{row['word']}\n" for row in columns)
        np.savez(self._folder / "rows.npz", words=np.array([row["words"] for row in self.rows]),
                 x=np.array([row["x"] for row in self.rows], np.float32))
        with tf.io.TFRecordWriter(str(self._folder / "rows.tfrecord")) as writer:
            for raw in self._bases["tfrecord"].inputs["examples"]:
                writer.write(raw)
        return {"jsonl": lines.encode(), "csv": table.encode(),
                "npz": (self._folder / "rows.npz").read_bytes(),
                "tfrecord": (self._folder / "rows.tfrecord").read_bytes()}

    def _result_files(self):
        from ig_tf.run import attribute, results
        found = {}
        for ending in ("jsonl", "npz"):
            file = self._folder / f"results.{ending}"
            attribute.attribute(self.loaded("jsonl"), self.rows, str(file))
            found[ending] = file.read_bytes()
        found["about"] = results.about_path(self._folder / "results.jsonl").read_bytes()
        return found


def _records(base):
    return [{name: _plain(base.inputs[name][row]) for name in sorted(base.inputs)}
            for row in (0, 1, 0)]


def _plain(value):
    value = value.tolist() if isinstance(value, (np.ndarray, np.generic)) else value
    return value.decode() if isinstance(value, bytes) else value


def guarded(case, *arguments):
    """The outcome of a case, also where it raises what it must not."""
    try:
        return case(*arguments)
    except Exception:
        return "traceback", traceback.format_exc(), []
