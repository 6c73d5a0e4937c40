"""Real third-party models: the artifact answers alike in both loaders, and answers rightly.

What is right is found again here, one node of the path at a time and without any code of ig_tf:
the ORIGINAL model, with the points fed by hand (a flat TensorFlow 1 graph), called under a
GradientTape (the point is an input of the signature), or rebuilt from its weights (the point lives
in a function body).
"""

import collections
import dataclasses
import json

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
import zoo_inputs

STEPS = 50
TOLERANCE = 1e-4  # of the largest attribution
ROWS = collections.defaultdict(lambda: 16, {"nsfw_mobilenet": 2})
# Points by kind: the table in the zoo's README, counted.
POINTS = {
    "census_wide_deep/raw": {"dense": 5, "one_hot": 4, "tokens": 8},
    "census_wide_deep/examples": {"dense": 5, "one_hot": 4, "tokens": 8},
    "babyweight": {"dense": 3, "tokens": 5},
    "taxi": {"dense": 3, "tokens": 9},
    "nsfw_mobilenet": {"image": 1},
    "cifar/saved_model": {"image": 1},
    "penguin": {"dense": 4},
    "reactionrnn": {"tokens": 1},
    "basic_pitch": {"dense": 1},
    "deep_image": {"image": 1},
    "queue_towers": {"dense": 1},
}
# Median relative completeness error at 50 nodes: what a tabular or text model must keep. Of the
# others it is printed: saturated image heads, a note that changes near silence alone.
MOST = {name: 0.01 for name in ("census_wide_deep/raw", "census_wide_deep/examples", "taxi",
                                "penguin")}
# Known misses, held at what was measured. reactionrnn: 4.5 % over the 16 sentences, 3.2 % at 100
# nodes, 0.8 % at 200, 0.4 % at 400, and the loop below finds the same. Its outputs are shares of
# Relu'd scores behind a recurrence of hard sigmoids: F is 0 on half of the path and then jumps to
# 0.9 within a tenth of it, with many kinks.
MISSES = {"reactionrnn": 0.05}


@dataclasses.dataclass(frozen=True)
class Case:
    """One instrumented model, with what it and its original answered to the same request.

    Attributes:
      name: of the model in the zoo.
      source: folder of the original.
      signature: the explained signature.
      metadata: what `save` returned.
      fed: the request.
      session: {key: array} of `attributions` in TensorFlow 1's loader.
      object: the same in TensorFlow 2's.
      original: {key: array} of the explained signature of the original, in TensorFlow 1's loader.
      original_object: the same in TensorFlow 2's.
      folder: of the zoo.
    """

    name: str
    source: object
    signature: str
    metadata: dict
    fed: dict
    session: dict
    object: dict
    original: dict
    original_object: dict
    folder: object

    @property
    def points(self):
        return self.metadata["points"]

    @property
    def scores(self):
        """The explained output of the original."""
        return self.original[self.metadata["target"]["output"]]

    def pinned(self):
        """Index of the target behind the batch axis, a tuple for each example."""
        index = self.metadata["target"]["index"]
        if index == "top":
            return [(int(best),) for best in np.argmax(self.scores, axis=1)]
        fixed = tuple(index) if index is not None else (0,) * (self.scores.ndim - 1)
        return [fixed] * len(self.scores)

    def chosen(self, scores):
        """The explained number of each example [batch], an array or a tensor."""
        indices = [(row, *index) for row, index in enumerate(self.pinned())]
        if isinstance(scores, np.ndarray):
            return np.array([scores[index] for index in indices])
        return tf.gather_nd(scores, tf.constant(indices, tf.int32))


@pytest.fixture(scope="module", params=zoo_inputs.NAMES)
def case(request, zoo, zoo_model, tmp_path_factory):
    """Each model of the zoo, instrumented once with defaults (or with the suggested target)."""
    name = request.param
    source = zoo_model(name)
    output = tmp_path_factory.mktemp("zoo") / "model"
    model = ig_tf.load(source, signature=zoo_inputs.SIGNATURES.get(name))
    plan = ig_tf.instrument(model, target=zoo_inputs.TARGETS.get(name), steps=STEPS)
    metadata = ig_tf.save(plan, output)
    fed = zoo_inputs.inputs(zoo, name, ROWS[name])
    signature = model.signature_name
    return Case(
        name=name, source=source, signature=signature, metadata=metadata, fed=fed, folder=zoo,
        session=zoo_inputs.ask_session(output, "attributions", fed),
        object=zoo_inputs.ask_object(output, "attributions", fed),
        original=zoo_inputs.ask_session(source, signature, fed),
        original_object=zoo_inputs.ask_object(source, signature, fed))


@pytest.fixture(scope="module", name="truth")
def fixture_truth(case):
    """`brute_force` of the same model and request."""
    with _PATHS.get(case.name, FlatPath)(case) as path:
        return brute_force(case, path)


# ------------------------------------------------------------------------------------------------
# The independent answer.


@dataclasses.dataclass(frozen=True)
class Truth:
    """What the loop found: {point: attributions}, F(x) and F(x') as the loop's model has them."""

    attributions: dict
    end: np.ndarray
    start: np.ndarray

    @property
    def largest(self):
        return max(np.abs(value).max() for value in self.attributions.values())


def brute_force(case, path):
    """Integrated gradients from zeros, one Gauss-Legendre node at a time, in the points' dtype."""
    nodes, weights = np.polynomial.legendre.leggauss(STEPS)
    nodes, weights = (nodes + 1) / 2, weights / 2
    ends, starts = path.ends(), path.starts()
    sums = {name: np.zeros(x.shape) for name, x in ends.items()}
    for node, weight in zip(nodes, weights):
        at = {name: (starts[name] + x.dtype.type(node) * (x - starts[name])).astype(x.dtype)
              for name, x in ends.items()}
        _, gradients = path.evaluate(at)
        for name, gradient in gradients.items():
            assert gradient.dtype == ends[name].dtype
            sums[name] += weight * gradient
    found = {name: total * (ends[name] - starts[name]) for name, total in sums.items()}
    return Truth(path.named(found), path.evaluate(ends)[0], path.evaluate(starts)[0])


class FlatPath:
    """The points of a flat graph, fed by their names in a session of the original."""

    def __init__(self, case):
        self.case = case
        self.graph = tf.Graph()
        self.session = tf.compat.v1.Session(graph=self.graph)

    def __enter__(self):
        with self.graph.as_default():
            meta_graph = tf.compat.v1.saved_model.load(
                self.session, ["serve"], str(self.case.source))
            signature = meta_graph.signature_def[self.case.signature]
            self.request = {signature.inputs[key].name: value
                            for key, value in self.case.fed.items()}
            scores = signature.outputs[self.case.metadata["target"]["output"]].name
            self.value = self.case.chosen(self.graph.get_tensor_by_name(scores))
            self.tensors = self.places()
            gradients = tf.gradients(self.value, list(self.tensors.values()))
            assert None not in gradients
            self.gradients = dict(zip(self.tensors, map(tf.convert_to_tensor, gradients)))
        return self

    def __exit__(self, *_):
        self.session.close()

    def places(self):
        """{name: tensor} that are fed along the path."""
        return {point["name"]: self.graph.get_tensor_by_name(point["tensor"])
                for point in self.case.points}

    def ends(self):
        return self.session.run(self.tensors, self.request)

    def starts(self):
        return {name: np.zeros_like(value) for name, value in self.ends().items()}

    def evaluate(self, values):
        """F [batch] and {name: dF/dvalue}."""
        fed = {**self.request, **{self.tensors[name]: value for name, value in values.items()}}
        return self.session.run([self.value, self.gradients], fed)

    def named(self, found):
        """Attributions by point."""
        return found


class TaxiPath(FlatPath):
    """taxi parses its three numbers inside functions; what these return stands at the top.

    The z-scores that feed the deep part are affine in the numbers, one by one. So an attribution to
    a number is that to its z-score, from the z-score that the model itself gives to 0.
    """

    CONCAT = "dnn/input_from_feature_columns/input_layer/concat:0"
    COLUMNS = ("fare", "trip_miles", "trip_seconds")  # of CONCAT, in order

    def places(self):
        found = {point["name"]: self.graph.get_tensor_by_name(point["tensor"])
                 for point in self.case.points if point["name"] not in self.COLUMNS}
        return {**found, "concat": self.graph.get_tensor_by_name(self.CONCAT)}

    def starts(self):
        starts = super().starts()
        zeros = [zoo_inputs.taxi_example(self.case.folder, {**row, **dict.fromkeys(
            self.COLUMNS, "0")}) for row in zoo_inputs.taxi_rows(self.case.folder, 1)]
        (request,) = self.request
        z_scores = self.session.run(self.CONCAT, {request: zeros})
        return {**starts, "concat": np.repeat(z_scores, len(starts["concat"]), axis=0)}

    def named(self, found):
        concat = found.pop("concat")
        return {**found, **{name: concat[:, index] for index, name in enumerate(self.COLUMNS)}}


class EagerPath:
    """F as a Python function of tensors, differentiated by a tape."""

    def __init__(self, case):
        self.case = case
        self.model = tf.saved_model.load(str(case.source))
        # As a graph it computes what is asked for: eagerly, the weights' gradients came too.
        self.compiled = tf.function(self.differentiate, autograph=False)

    def __enter__(self):
        rebuilt = self.scores({name: tf.constant(x) for name, x in self.ends().items()})
        np.testing.assert_allclose(rebuilt, self.case.scores, atol=2e-6)
        return self

    def __exit__(self, *_):
        pass

    def scores(self, values):
        raise NotImplementedError

    def ends(self):
        raise NotImplementedError

    def starts(self):
        return {name: np.zeros_like(value) for name, value in self.ends().items()}

    def evaluate(self, values):
        value, gradients = self.compiled(
            {name: tf.constant(value) for name, value in values.items()})
        return value.numpy(), {name: gradient.numpy() for name, gradient in gradients.items()}

    def differentiate(self, values):
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(values)
            value = self.case.chosen(self.scores(values))
        gradients = tape.gradient(value, values)
        return value, {name: tf.convert_to_tensor(gradient)
                       for name, gradient in gradients.items()}

    def named(self, found):
        return found

    def weight(self, name):
        """A variable of the model by its name."""
        (found,) = [variable for variable in self.model.variables if variable.name == name + ":0"]
        return tf.convert_to_tensor(found)


class SignaturePath(EagerPath):
    """The point is the signature's input: the original signature itself is called."""

    def ends(self):
        return self.case.fed

    def scores(self, values):
        answers = self.model.signatures[self.case.signature](**values)
        return answers[self.case.metadata["target"]["output"]]


class PenguinPath(EagerPath):
    """Three dense layers over the four parsed numbers, from the weights."""

    ORDER = ("culmen_length_mm", "culmen_depth_mm", "flipper_length_mm", "body_mass_g")

    def ends(self):
        examples = [tf.train.Example.FromString(text) for text in self.case.fed["examples"]]
        return {name: np.array([example.features.feature[name].float_list.value
                                for example in examples], np.float32) for name in self.ORDER}

    def scores(self, values):
        hidden = tf.concat([values[name] for name in self.ORDER], 1)
        for layer in ("dense", "dense_1"):
            hidden = tf.nn.relu(self.dense(hidden, layer))
        return tf.nn.softmax(self.dense(hidden, "dense_2"))

    def dense(self, values, layer):
        return values @ self.weight(layer + "/kernel") + self.weight(layer + "/bias")


class ReactionPath(EagerPath):
    """The looked-up vectors, a GRU (hard sigmoids, reset before the product), shares of a Relu."""

    def ends(self):
        ids = self.case.fed["input"].astype(np.int32)
        return {"input": self.weight("embedding/embeddings").numpy()[ids]}

    def scores(self, values):
        kernel = self.weight("rnn/gru_cell/kernel")
        recurrent = self.weight("rnn/gru_cell/recurrent_kernel")
        units = recurrent.shape[0]
        projected = tf.unstack(values["input"] @ kernel + self.weight("rnn/gru_cell/bias"), axis=1)
        gates, candidate = recurrent[:, :2 * units], recurrent[:, 2 * units:]
        state = tf.zeros([values["input"].shape[0], units])
        for now in projected:
            opened = now[:, :2 * units] + state @ gates
            update, reset = tf.split(tf.clip_by_value(0.2 * opened + 0.5, 0.0, 1.0), 2, axis=1)
            new = tf.tanh(now[:, 2 * units:] + (reset * state) @ candidate)
            state = update * state + (1 - update) * new
        scores = tf.nn.relu(state @ self.weight("output/kernel") + self.weight("output/bias"))
        return scores / tf.reduce_sum(scores, -1, keepdims=True)

    def named(self, found):
        return {"input": found["input"].sum(-1)}  # of kind tokens: one number per token


_PATHS = {"taxi": TaxiPath, "nsfw_mobilenet": SignaturePath, "basic_pitch": SignaturePath,
          "penguin": PenguinPath, "reactionrnn": ReactionPath}


# ------------------------------------------------------------------------------------------------


def attributions_of(case, answers=None):
    """{point: attributions} of the artifact."""
    answers = answers or case.session
    return {point["name"]: answers[f"attributions/{point['name']}"] for point in case.points}


def totals(arrays):
    """Sum over everything but the examples, in float64."""
    return sum(array.reshape(len(array), -1).sum(1, dtype=np.float64) for array in arrays)


def rounding(arrays):
    """What float32 sums of these may be off: their terms can cancel to a millionth (audio)."""
    return 3e-7 * totals([np.abs(array) for array in arrays]) + 1e-9


def test_points_are_those_of_the_zoo(case):
    """The default cut has as many points of each kind as the zoo's README says."""
    assert collections.Counter(point["kind"] for point in case.points) == POINTS[case.name]


def test_keys_and_shapes(case):
    """The keys of D10 and no others, each batch-major, as the metadata describes them."""
    expected = {"prediction", "baseline_prediction", "completeness_error", "relative_error",
                "target_index"}
    for point in case.points:
        expected |= {f"attributions/{point['name']}", f"features/{point['feature']}"}
        if point["tokens"]:
            expected |= {f"tokens/{point['name']}", f"length/{point['name']}"}
    assert set(case.session) == expected == set(case.metadata["outputs"])
    batch = len(next(iter(case.fed.values())))
    for key, array in case.session.items():
        described = case.metadata["outputs"][key]
        assert array.shape[0] == batch, key
        assert len(array.shape) == len(described["shape"]), key
        assert all(said in (-1, found) for said, found in zip(described["shape"], array.shape)), key
        if array.dtype != object:
            assert array.dtype.name == described["dtype"], key
        if array.dtype.kind == "f":
            assert np.all(np.isfinite(array)), key
    for point in case.points:
        if point["combiner"]:  # one string per example went into each bag
            sent = case.fed.get(point["features"][0])
            tokens = case.session[f"tokens/{point['name']}"]
            if len(point["features"]) == 1 and sent is not None and tokens.dtype == object:
                shown, sent = tokens[:, 0].tolist(), np.ravel(sent)
                if sent.dtype.kind == "f":  # what was put in buckets is shown as a number
                    np.testing.assert_allclose(np.array(shown, float), sent, rtol=1e-6)
                else:
                    assert shown == [one if isinstance(one, bytes) else one.encode()
                                     for one in sent]
        elif point["kind"] == "tokens":  # the ids that were sent, and how many
            (sent,) = case.fed.values()
            np.testing.assert_array_equal(case.session[f"tokens/{point['name']}"], sent)
            lengths = case.session[f"length/{point['name']}"]
            np.testing.assert_array_equal(lengths, [sent.shape[1]] * batch)


def test_both_loaders_answer_alike(case):
    """TensorFlow 1's loader and TensorFlow 2's: the same keys, the same numbers."""
    assert set(case.session) == set(case.object)
    largest = max(np.abs(value).max() for value in attributions_of(case).values())
    for key, value in case.session.items():
        if value.dtype.kind == "f":
            np.testing.assert_allclose(case.object[key], value, rtol=0, atol=1e-6 * max(
                largest, np.abs(value).max()), err_msg=key)
        else:
            np.testing.assert_array_equal(case.object[key], value, err_msg=key)


def test_equals_brute_force(case, truth, record_property):
    """Every attribution equals the independent loop's within 1e-4 of the largest one."""
    found = attributions_of(case)
    assert set(found) == set(truth.attributions)
    assert truth.largest > 0
    off = {}
    bags = {point["name"] for point in case.points if point["combiner"]}
    hot = {point["name"] for point in case.points if point["kind"] == "one_hot"}
    for name, attribution in found.items():
        wanted = truth.attributions[name]
        if name in bags:  # the loop fed the pooled vector: its total goes to the ids
            wanted = wanted.reshape(len(wanted), -1).sum(1)
            attribution = attribution.sum(1)
        if name in hot:  # the loop fed the one-hot: the numbers of a category are one attribution
            wanted = wanted.sum(-1)
        wanted = wanted.reshape(attribution.shape)
        off[name] = float(np.abs(attribution - wanted).max() / truth.largest)
    worst = max(off, key=off.get)
    record_property("largest_difference", off[worst])
    print(f"{case.name}: {worst} differs by {off[worst]:.1e} of the largest attribution")
    assert off[worst] <= TOLERANCE


def test_predictions(case, truth):
    """F(x) is the original's own output bit for bit, in both loaders; F(x') is the loop's."""
    np.testing.assert_array_equal(case.session["prediction"], case.chosen(case.scores))
    output = case.metadata["target"]["output"]
    np.testing.assert_array_equal(case.object["prediction"],
                                  case.chosen(case.original_object[output]))
    np.testing.assert_allclose(truth.end, case.session["prediction"], rtol=1e-5, atol=2e-6)
    np.testing.assert_allclose(case.session["baseline_prediction"], truth.start, rtol=1e-5,
                               atol=2e-6)


def test_target_index(case):
    """The pinned index: the best class at x, the asked element (row-major), or -1 for none."""
    index = case.metadata["target"]["index"]
    if index is None:
        wanted = np.full(len(case.scores), -1)
    else:
        wanted = [np.ravel_multi_index(one, case.scores.shape[1:]) for one in case.pinned()]
    np.testing.assert_array_equal(case.session["target_index"], wanted)


def test_features_are_sums_of_points(case):
    """features/NAME is the sum of its points' attributions, and all features sum to the total."""
    grouped = collections.defaultdict(list)
    for point in case.points:
        grouped[point["feature"]].append(case.session[f"attributions/{point['name']}"])
    for feature, arrays in grouped.items():
        np.testing.assert_array_less(
            np.abs(case.session[f"features/{feature}"] - totals(arrays)), rounding(arrays), feature)
    features = [value for key, value in case.session.items() if key.startswith("features/")]
    arrays = list(attributions_of(case).values())
    np.testing.assert_array_less(np.abs(totals(features) - totals(arrays)), rounding(arrays))


def test_errors_are_what_they_say(case, truth):
    """completeness_error is |sum - (F(x) - F(x'))|; relative_error divides it, with a floor."""
    end, start = (case.session[key].astype(np.float64)
                  for key in ("prediction", "baseline_prediction"))
    total = totals(attributions_of(case).values())
    error = np.abs(total - (end - start))
    allowed = rounding(attributions_of(case).values()) + 1e-6 * np.abs(end)
    np.testing.assert_array_less(np.abs(case.session["completeness_error"] - error), allowed)
    # And with nothing of the artifact in it.
    alone = np.abs(totals(truth.attributions.values()) - (truth.end - truth.start))
    np.testing.assert_array_less(np.abs(case.session["completeness_error"] - alone), 100 * allowed)
    floor = 1e-4 * np.maximum(np.abs(end), np.abs(start))
    relative = case.session["completeness_error"] / np.maximum(np.abs(end - start), floor)
    np.testing.assert_allclose(case.session["relative_error"], relative, rtol=1e-4)


def test_completeness_table(case, record_property):
    """The median relative completeness error at 50 nodes, printed (-rP), bounded where it must."""
    errors = case.session["relative_error"]
    median, bound = float(np.median(errors)), {**MOST, **MISSES}.get(case.name)
    said = "none" if bound is None else f"{bound:.1%}"
    record_property("median_relative_completeness_error", median)
    print(f"{'model':<27}{'target':<18}{'rows':>5}{'median':>10}{'largest':>10}  bound")
    print(f"{case.name:<27}{case.metadata['target']['text']:<18}{len(errors):>5}{median:>10.3%}"
          f"{errors.max():>10.3%}  {said}{' (known miss)' if case.name in MISSES else ''}")
    assert bound is None or median <= bound


def test_metadata_is_saved(zoo_model, tmp_path):
    """What `save` returns lies in assets.extra/ig_tf.json and is what the plan said."""
    plan = ig_tf.instrument(ig_tf.load(zoo_model("penguin")))
    metadata = ig_tf.save(plan, tmp_path / "model")
    text = (tmp_path / "model" / "assets.extra" / "ig_tf.json").read_text(encoding="utf-8")
    assert json.loads(text) == json.loads(json.dumps(metadata))
    assert metadata["rule"]["steps"] == STEPS
    planned = json.loads(json.dumps(plan.described()))
    assert {key: json.loads(text)[key] for key in planned} == planned


def test_no_single_number_is_refused_with_the_flag_to_use(zoo, zoo_model):
    """basic_pitch has three outputs [batch, time, pitch]: the message names a flag that works."""
    model = ig_tf.load(zoo_model("basic_pitch"))
    with pytest.raises(ig_tf.errors.TargetError, match=r"--target=\w+:\d+,\d+") as refused:
        ig_tf.instrument(model)
    text = str(refused.value)
    assert "note" in text and "[?, 172, 88]" in text
    suggested = text.partition("--target=")[2].split()[0]
    located = ig_tf.locate(model, target=suggested)
    assert [point.name for point in located.cut.points] == ["input_2"]
    fed = zoo_inputs.inputs(zoo, "basic_pitch")
    note = zoo_inputs.ask_object(zoo_model("basic_pitch"), "serving_default", fed)["note"]
    assert note[0, 86].argmax() == 48  # MIDI 69: the target of these tests is the note played
