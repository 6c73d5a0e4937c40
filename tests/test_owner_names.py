"""What `inspect` and the answers say of real models: every place, in the words of their owners.

The expected columns are those that the models were made with (the zoo's README).
"""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf

import ig_tf
import old_tensorflow
import zoo_inputs

NUMBERS = {"age", "capital_gain", "capital_loss", "education_num", "hours_per_week"}
DEEP = {"occupation_embedding": ("occupation", 17, 8, "mean"),
        "native_country_embedding": ("native_country", 64, 8, "sqrtn"),
        "workclass_embedding": ("workclass", 32, 4, "sum")}
LINEAR = {"age_bucketized": (("age",), 11), "education": (("education",), 16),
          "relationship": (("relationship",), 6),
          "age_bucketized_X_education": (("age", "education"), 500),
          "gender_X_occupation": (("gender", "occupation"), 500)}
INDICATORS = {"education_indicator", "gender_indicator", "marital_status_indicator",
              "relationship_indicator"}


def located(zoo_model, name):
    return ig_tf.locate(ig_tf.load(zoo_model(name), signature=zoo_inputs.SIGNATURES.get(name)),
                        zoo_inputs.TARGETS.get(name))


@pytest.mark.parametrize("name", ["census_wide_deep/examples", "census_wide_deep/raw"])
def test_census_has_its_columns(zoo_model, name):
    points = {point.name: point for point in located(zoo_model, name).cut.points}
    assert set(points) == NUMBERS | set(DEEP) | set(LINEAR) | INDICATORS
    for column, (feature, vocabulary, dimension, combiner) in DEEP.items():
        point = points[column]
        assert (point.kind, point.features, point.vocabulary, point.dimension,
                point.bag.combiner) == ("tokens", (feature,), vocabulary, dimension, combiner)
        assert point.table.endswith(f"/{column}/embedding_weights")
    for column, (features, vocabulary) in LINEAR.items():
        point = points[column]
        assert (tuple(sorted(point.features)), point.vocabulary, point.dimension) == (
            features, vocabulary, 1)
        assert point.table == f"linear/linear_model/{column}/weights"
    assert all(points[name].kind == "dense" for name in NUMBERS)
    assert all(points[name].kind == "one_hot" for name in INDICATORS)


@pytest.mark.parametrize("name, lookups", [("taxi", 9), ("babyweight", 5)])
def test_every_lookup_has_its_raw_feature(zoo_model, name, lookups):
    points = located(zoo_model, name).cut.points
    found = [point for point in points if point.table]
    assert len(found) == lookups
    for point in found:
        feature, = point.features  # a column is called after its feature
        assert point.name.startswith(feature) and f"/{point.name}/" in point.table
        assert point.vocabulary and point.dimension and point.bag.combiner


@pytest.mark.parametrize("name", zoo_inputs.NAMES)
def test_inspect(zoo_model, name):
    """As text and as JSON, within seconds, and without running anything of the model."""
    command = [sys.executable, "-m", "ig_tf.cli", "inspect", f"--model={zoo_model(name)}"]
    if name in zoo_inputs.SIGNATURES:
        command.append(f"--signature={zoo_inputs.SIGNATURES[name]}")
    if name in zoo_inputs.TARGETS:
        command.append(f"--target={zoo_inputs.TARGETS[name]}")
    program = "import sys; from ig_tf import cli; sys.exit(cli.main(sys.argv))"
    command[1:3] = ["-c", program]
    begin = time.monotonic()
    done = subprocess.run([*command, "--format=json"], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - begin < 60  # most of it is the import of TensorFlow
    described = json.loads(done.stdout)
    text = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    for point in described["points"]:
        line = next(line for line in text.splitlines() if line.startswith(point["name"] + " "))
        assert point["kind"] in line and (point["table"] or "-") in line
        assert (point["vocabulary"] is None) == (point["table"] is None)
        if point["table"]:
            assert f"{point['vocabulary']} x {point['dimension']}" in line
    for miss in described["misses"]:
        assert miss in text


@pytest.fixture(scope="module", name="census")
def fixture_census(zoo, zoo_model, tmp_path_factory):
    """(metadata, ask(rows)) of census/examples, and its 64 rows."""
    output = tmp_path_factory.mktemp("census") / "out"
    plan = ig_tf.instrument(ig_tf.load(zoo_model("census_wide_deep/examples")), "scores:1",
                            steps=200)
    metadata = ig_tf.save(plan, output)
    fed = zoo_inputs.inputs(zoo, "census_wide_deep/examples", 64)
    signature = tf.saved_model.load(str(output)).signatures["attributions"]
    name, = fed

    def ask(records):
        return {key: value.numpy()
                for key, value in signature(**{name: tf.constant(list(records))}).items()}
    return metadata, ask, list(fed[name])


def sent(record, feature):
    return list(tf.train.Example.FromString(record).features.feature[feature].bytes_list.value)


def test_the_strings_of_the_examples_get_the_attribution(census):
    metadata, ask, records = census
    found = ask(records)
    shown = {point["name"]: point["features"] for point in metadata["points"]
             if f"tokens/{point['name']}" in found and len(point["features"]) == 1
             and point["features"] != ["age"]}
    assert {"occupation_embedding", "education_indicator", "relationship"} <= set(shown)
    for name, (feature,) in shown.items():
        for row, record in enumerate(records):
            length = found[f"length/{name}"][row]
            assert found[f"tokens/{name}"][row, :length].tolist() == sent(record, feature)
            assert not found[f"attributions/{name}"][row, length:].any()
    assert np.abs(found["attributions/occupation_embedding"]).max() > 1e-3


def test_crosses_and_buckets_show_what_they_are_made_of(census):
    _, ask, records = census
    found = ask(records[:8])
    for row, record in enumerate(records[:8]):
        keys = {found["tokens/gender_X_occupation"][row, 0]}
        gender, occupation = sent(record, "gender")[0], sent(record, "occupation")[0]
        assert keys <= {gender + b"_X_" + occupation, occupation + b"_X_" + gender}
        age = tf.train.Example.FromString(record).features.feature["age"].float_list.value[0]
        assert float(found["tokens/age_bucketized"][row, 0]) == age


def test_sums_over_tokens_and_features(census):
    """float32 sums of 17 places in any order: 17 half units of the largest."""
    metadata, ask, records = census
    found = ask(records)
    totals = {}
    for point in metadata["points"]:
        scores = found[f"attributions/{point['name']}"].reshape(len(records), -1)
        totals.setdefault(point["feature"], []).append(scores.astype(np.float64).sum(1))
    largest = max(np.abs(part).max() for parts in totals.values() for part in parts)
    assert {f"features/{name}" for name in totals} == {
        key for key in found if key.startswith("features/")}
    for name, parts in totals.items():
        np.testing.assert_allclose(found[f"features/{name}"], sum(parts),
                                   atol=17 * 2.0 ** -24 * largest)
    whole = sum(sum(parts) for parts in totals.values())
    change = found["prediction"].astype(np.float64) - found["baseline_prediction"]
    error = np.abs(whole - change)
    np.testing.assert_allclose(error, found["completeness_error"], atol=1e-5 * largest)
    assert np.median(error / np.maximum(np.abs(change), 1e-3)) < 0.01
    assert len(totals["age"]) == 2  # as a number and in buckets
    assert len(totals["education"]) == 2 and "age_bucketized_X_education" in totals


def test_a_batch_of_64_is_64_single_calls(census):
    _, ask, records = census
    together = ask(records)
    order = np.random.default_rng(3).permutation(len(records))
    permuted = ask([records[place] for place in order])
    largest = max(np.abs(value).max() for key, value in together.items()
                  if key.startswith("attributions/"))
    singles = [ask([record]) for record in records]
    for key, value in together.items():
        if not key.startswith(("attributions/", "features/")):
            continue
        assert value.shape[1:] == permuted[key].shape[1:]
        np.testing.assert_allclose(permuted[key], value[order], atol=1e-6 * largest)
        for row, alone in enumerate(singles):
            width = alone[key].shape[1] if value.ndim == 2 else None
            mine = value[row] if width is None else value[row, :width]
            np.testing.assert_allclose(alone[key][0].ravel()[:mine.size], mine.ravel(),
                                       atol=1e-6 * largest)


@pytest.mark.parametrize("way", ["layers", "functions"])
def test_a_recorded_estimator_of_1_15(tmp_path, way):
    """Exported under the recorder in the old runtime, instrumented here: every column by name."""
    python = old_tensorflow.python()
    assert python
    folder = old_tensorflow.run(old_tensorflow.PROGRAMS / "recorded_estimator.py", tmp_path,
                                way).strip().splitlines()[-1]
    found = ig_tf.locate(ig_tf.load(folder)).cut.points
    assert {point.named_by for point in found} == {"recorded"}
    assert {point.name for point in found} == {
        "age", "hours", "hours_bucketized", "job_indicator", "age_bucketized", "edu",
        "age_bucketized_X_job", "age_bucketized_X_edu_embedding", "away_shared_embedding",
        "home_shared_embedding", "job_embedding", "words_weighted_by_counts_embedding"}
    plan = ig_tf.instrument(ig_tf.load(folder))
    assert plan.recipe.reason is None  # rows are proved, partitioned tables and crosses included
    ig_tf.save(plan, tmp_path / "out")
    records = [example(age=30.0 + row, hours=40.0, edu=[b"hs"], job=[b"a"], home=[b"x"],
                       away=[b"y", b"x"], words=[b"p", b"q"], counts=[1.0, 2.0])
               for row in range(3)]
    model = tf.saved_model.load(str(tmp_path / "out")).signatures["attributions"]
    answer = model(**{next(iter(model.structured_input_signature[1])): tf.constant(records)})
    assert answer["tokens/away_shared_embedding"].numpy()[0].tolist() == [b"y", b"x"]
    assert np.all(answer["relative_error"].numpy() < 0.05)


def example(**features):
    made = tf.train.Example()
    for name, value in features.items():
        if isinstance(value, float):
            made.features.feature[name].float_list.value.append(value)
        elif isinstance(value[0], bytes):
            made.features.feature[name].bytes_list.value.extend(value)
        else:
            made.features.feature[name].float_list.value.extend(value)
    return made.SerializeToString()


def test_names_without_scopes(zoo_model):
    """With name scopes scrubbed, structure alone still tells the columns of a feature apart."""
    model = ig_tf.load(zoo_model("census_wide_deep/examples"))
    scrub(model.meta_graph)
    points = {point.name: point for point in ig_tf.locate(model).cut.points}
    assert {"age", "age_bucketized", "age_bucketized_X_education", "gender_X_occupation",
            "education_indicator", "relationship_indicator"} <= set(points)
    assert {point.named_by for point in points.values()} <= {"feature", "structure"}


def scrub(meta_graph):
    """Every node of the graph gets a number for a name."""
    names = {node.name: f"n{number}" for number, node in enumerate(meta_graph.graph_def.node)}

    def renamed(name):
        mark, name = ("^", name[1:]) if name.startswith("^") else ("", name)
        node, colon, index = name.partition(":")
        return mark + names.get(node, node) + colon + index
    for node in meta_graph.graph_def.node:
        node.name = names[node.name]
        node.attr.pop("_class", None)
        for place, name in enumerate(node.input):
            node.input[place] = renamed(name)
    for signature in meta_graph.signature_def.values():
        for tensors in (signature.inputs, signature.outputs):
            for info in tensors.values():
                info.name = renamed(info.name)
