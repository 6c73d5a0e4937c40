"""What TensorFlow Serving demands of a model, and asking one that it serves.

Serving itself is not here: a stand-in does what its documentation and sources say (versions,
warm-up, JSON, batching), and tensorflow-serving-api's messages are used where it is installed.
"""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

import builders
import ig_tf
import serving_stand_in
import test_programs
from builders import spec
from ig_tf.errors import OutputError, RecordError, ServerError
from ig_tf.ig.runtime import RuntimeProfile
from ig_tf.run import serving, serving_json, serving_messages
from ig_tf.warm_up import FILE, MOST, WarmUp
from test_c_library import EXAMPLES, MODELS, TABLE, assert_same, encoded, over_examples
from test_saved_models import read_examples

STEPS = 6
WORDS = np.array([[b"plum", b"fig", b""], [b"a\xff\x00b", "Käse".encode(), b"fig"]], object)


def by_words(words, size, table):
    """Words of any number, the empty one is none; and two numbers."""
    vectors = tf.gather(table, tf.strings.to_hash_bucket_fast(words, 11))
    kept = tf.cast(tf.not_equal(words, ""), tf.float32)[..., None]
    return tf.tanh(tf.reduce_sum(vectors * kept, [1, 2])) * size[:, 0] + size[:, 1] ** 2


def words_request():
    return {"words": WORDS, "size": np.array([[1.5, -2.0], [0.25, 1.0]], np.float32)}


@pytest.fixture(name="served", scope="module")
def fixture_served(tmp_path_factory):
    """A function from the name of a model to (base path, `Model`, a request)."""
    folder, found = tmp_path_factory.mktemp("served"), {}

    def built(name):
        if name == "words":
            path = builders.save_tf2(folder / "source", by_words, {
                "words": spec([None, None], tf.string), "size": spec([None, 2], tf.float32)}, TABLE)
            return path, words_request()
        if name == "examples":
            path = builders.save_tf1(folder / "parsed", over_examples,
                                     {"examples": spec([None], tf.string)}, TABLE)
            return path, {"examples": EXAMPLES}
        feeds, _ = read_examples(name)
        return MODELS / name, {key: encoded(value[:5]) for key, value in feeds.items()}

    def find(name):
        if name not in found:
            path, request = built(name)
            plan = ig_tf.instrument(ig_tf.load(path), steps=STEPS)
            ig_tf.save(plan, folder / name, version=7)
            found[name] = folder / name, serving_stand_in.Model(folder / name), request
        return found[name]

    return find


NAMES = ("words", "examples", "diabetes_columns", "digits_cnn")


# Signatures, versions, warm-up ------------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
def test_the_signature_is_as_serving_wants_it(served, name):
    _, model, request = served(name)
    signature = model.signatures["attributions"]
    assert signature.method_name == "tensorflow/serving/predict"
    count = len(next(iter(request.values())))
    answer = model.predict("attributions", request)
    for key, info in signature.outputs.items():
        assert info.name and info.dtype and not info.tensor_shape.unknown_rank
        assert info.tensor_shape.dim[0].size == -1, key
        assert len(answer[key]) == count, key  # row format and batching need this of each output
        # A name that ends so is base64 in JSON.
        assert not key.endswith("_bytes")


def test_versions_are_numbered_folders(served, tmp_path):
    path, model, request = served("digits_cnn")
    assert model.version == 7 and os.listdir(path) == ["7"]
    plan = ig_tf.instrument(ig_tf.load(MODELS / "digits_cnn"), steps=STEPS + 1)
    ig_tf.save(plan, tmp_path / "out", version=1)
    ig_tf.save(plan, tmp_path / "out", version=12)
    with pytest.raises(OutputError, match="exists"):
        ig_tf.save(plan, tmp_path / "out", version=12)
    assert serving_stand_in.Model(tmp_path / "out").version == 12
    with pytest.raises(OutputError, match="is a SavedModel"):
        ig_tf.save(plan, tmp_path / "out" / "1", version=2)
    for version in (0, -1, 1.5, True, "3"):
        with pytest.raises(OutputError, match="positive whole number"):
            ig_tf.save(plan, tmp_path / "other", version=version)
    assert not (tmp_path / "other").exists()


def test_what_is_half_written_has_no_name_that_serving_takes(tmp_path):
    """Serving polls the base path: a version must appear at once, and whole."""
    seen = []

    class Looks:
        def write(self, folder):
            seen.extend(os.listdir(tmp_path / "out"))
            assert (tmp_path / "out" / os.path.basename(folder) / "saved_model.pb").exists()

    plan = ig_tf.instrument(ig_tf.load(MODELS / "digits_cnn"), steps=STEPS)
    ig_tf.save(plan, tmp_path / "out", version=3, warm_up=Looks())
    assert len(seen) == 1 and not seen[0].isdigit()
    assert os.listdir(tmp_path / "out") == ["3"]


def warm_up_requests(folder):
    return [serving_messages.message("PredictionLog").FromString(record.numpy()).predict_log.request
            for record in tf.data.TFRecordDataset(os.path.join(folder, FILE))]


def test_one_request_per_bucket_and_shape(tmp_path):
    builders.save_tf2(tmp_path / "model", by_words, {
        "words": spec([None, None], tf.string), "size": spec([None, 2], tf.float32)}, TABLE)
    profile = RuntimeProfile("served", batch_buckets=(1, 4))
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=STEPS, runtime=profile)
    rows = [{"words": words, "size": [1.0, 2.0]} for words in (
        ["plum", "fig"], ["kiwi", ""], ["fig"])]
    ig_tf.save(plan, tmp_path / "out", version=1, warm_up=WarmUp(rows))
    requests = warm_up_requests(tmp_path / "out" / "1")
    arrays = [serving_stand_in.arrays_of(request.inputs) for request in requests]
    assert sorted(one["words"].shape for one in arrays) == [(1, 1), (1, 2), (4, 1), (4, 2)]
    assert {request.model_spec.signature_name for request in requests} == {"attributions"}
    longest, = (one for one in arrays if one["words"].shape == (4, 2))
    assert longest["words"].tolist() == [[b"plum", b"fig"], [b"kiwi", b""]] * 2
    assert serving_stand_in.Model(tmp_path / "out").warmed == 4


def test_a_row_that_fails_writes_nothing(tmp_path):
    """In Serving it would keep the model from being loaded."""
    builders.save_tf1(tmp_path / "model", over_examples, {"examples": spec([None], tf.string)},
                      TABLE)
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=STEPS)
    with pytest.raises(RecordError, match="^Name.*size.*is required"):
        ig_tf.save(plan, tmp_path / "out", version=1, warm_up=WarmUp([{"examples": b""}]))
    assert not (tmp_path / "out" / "1").exists()
    with pytest.raises(RecordError, match="no record"):
        ig_tf.save(plan, tmp_path / "out", version=1, warm_up=WarmUp([]))
    with pytest.raises(RecordError, match=f"takes {MOST}"):
        ig_tf.save(plan, tmp_path / "out", version=1, warm_up=WarmUp(
            [{"examples": EXAMPLES[0]}], batches=range(1, MOST + 2)))


def test_the_models_own_requests_stay(tmp_path):
    builders.save_tf1(tmp_path / "model", over_examples, {"examples": spec([None], tf.string)},
                      TABLE)
    own = serving_messages.warm_up_record(serving_messages.request(
        {"examples": EXAMPLES}, "serving_default"))
    (tmp_path / "model" / "assets.extra").mkdir()
    with tf.io.TFRecordWriter(str(tmp_path / "model" / FILE)) as writer:
        writer.write(own)
    before = (tmp_path / "model" / FILE).read_bytes()
    plan = ig_tf.instrument(ig_tf.load(tmp_path / "model"), steps=STEPS)
    rows = [{"examples": EXAMPLES[0]}]
    ig_tf.save(plan, tmp_path / "out", link=True, version=1, warm_up=WarmUp(rows, batches=(2,)))
    assert [request.model_spec.signature_name for request in warm_up_requests(
        tmp_path / "out" / "1")] == ["serving_default", "attributions"]
    assert (tmp_path / "model" / FILE).read_bytes() == before  # not through the link
    assert serving_stand_in.Model(tmp_path / "out").warmed == 2


# Requests as JSON and as messages ---------------------------------------------------------------


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["rows", "columns"])
def test_json_requests_and_answers(served, name, form):
    _, model, request = served(name)
    body = getattr(serving_json, form)(request, "attributions")
    signature, arrays, said = serving_stand_in.of_json(model, body)
    assert signature == "attributions"
    assert said == {"rows": "instances", "columns": "inputs"}[form]
    for key, array in request.items():
        assert arrays[key].tolist() == array.tolist() and arrays[key].shape == array.shape
    answer = model.predict("attributions", arrays)
    outputs = {key: tf.as_dtype(info.dtype).name
               for key, info in model.signatures["attributions"].outputs.items()}
    found = serving_json.answer(serving_stand_in.as_json(answer, said), outputs)
    for key, value in answer.items():
        assert found[key].tolist() == value.tolist() and found[key].dtype == value.dtype, key


def test_nan_and_numbers_that_json_makes_hard(served):
    _, model, request = served("words")
    request = {**request, "size": np.array([[np.nan, 1.0], [16777217.0, -np.inf]], np.float32)}
    for form in (serving_json.rows, serving_json.columns):
        body = form(request, "attributions")
        _, arrays, said = serving_stand_in.of_json(model, body)
        np.testing.assert_array_equal(arrays["size"], request["size"])
        answer = model.predict("attributions", arrays)
        assert np.isnan(answer["prediction"][0])
        text = serving_stand_in.as_json(answer, said)
        assert b"NaN" in text
        found = serving_json.answer(text, {"prediction": "float32", "tokens/words": "string"})
        np.testing.assert_array_equal(found["prediction"], answer["prediction"])
        assert found["tokens/words"].tolist() == answer["tokens/words"].tolist()


def test_what_json_cannot_say_is_refused():
    with pytest.raises(RecordError, match="bfloat16.*gRPC"):
        serving_json.columns({"x": np.ones(2, tf.bfloat16.as_numpy_dtype)}, "attributions")
    with pytest.raises(RecordError, match="one example"):
        serving_json.columns({"x": np.ones([0, 3])}, "attributions")
    with pytest.raises(RecordError, match="equally many"):
        serving_json.rows({"x": np.ones([2, 3]), "scale": np.array(1.0)}, "attributions")
    with pytest.raises(ServerError, match="neither outputs nor predictions"):
        serving_json.answer(b"{}", {"prediction": "float32"})
    with pytest.raises(ServerError, match="not that of this model"):
        serving_json.answer(b"<html>", {"prediction": "float32"})


def test_messages_are_those_of_tensorflow_serving_api():
    apis = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2",
                               reason="tensorflow-serving-api is not installed")
    predict = pytest.importorskip("tensorflow_serving.apis.predict_pb2")
    arrays = words_request()
    request = serving_messages.request(arrays, "attributions", "census", 3)
    read = predict.PredictRequest.FromString(request.SerializeToString())
    assert (read.model_spec.name, read.model_spec.version.value) == ("census", 3)
    assert read.model_spec.signature_name == "attributions"
    for key, array in arrays.items():
        assert tf.make_ndarray(read.inputs[key]).tolist() == array.tolist()
    log = apis.PredictionLog.FromString(serving_messages.warm_up_record(request))
    assert log.WhichOneof("log_type") == "predict_log"
    assert log.predict_log.request == read
    response = predict.PredictResponse()
    for key, array in arrays.items():
        response.outputs[key].CopyFrom(tf.make_tensor_proto(array))
    found = serving_messages.answers(serving_messages.message("PredictResponse").FromString(
        response.SerializeToString()))
    assert {key: value.tolist() for key, value in found.items()} == {
        key: value.tolist() for key, value in arrays.items()}


# Batching ---------------------------------------------------------------------------------------


def rows_of(request, start, stop):
    return {key: array[start:stop] for key, array in request.items()}


@pytest.mark.parametrize("name", NAMES)
def test_merged_and_split_requests_answer_the_same(served, name):
    """Batching puts requests together, fills them up, and a large one may be split."""
    _, model, request = served(name)
    count = len(next(iter(request.values())))
    whole = model.predict("attributions", request)
    singles = [rows_of(request, place, place + 1) for place in range(count)]
    merged = model.predict_merged("attributions", singles, [1, 8, 16])
    assert len(merged) == count
    for place, answer in enumerate(merged):
        assert_same(trimmed(answer), trimmed(rows_of(whole, place, place + 1)))
    parts = [model.predict("attributions", rows_of(request, 0, 1)),
             model.predict("attributions", rows_of(request, 1, count))]
    for part, rows in zip(parts, [(0, 1), (1, count)]):
        for key in ("prediction", "baseline_prediction"):
            np.testing.assert_allclose(part[key], whole[key][slice(*rows)], rtol=1e-5, atol=1e-6)


def trimmed(answer):
    """What counts of an answer of one example; how wide the padding is, the batch decides."""
    found = dict(answer)
    for key, value in answer.items():
        if key.startswith("length/"):
            name = key.removeprefix("length/")
            for part in (f"attributions/{name}", f"tokens/{name}"):
                found[part] = answer[part][:, :int(value[0])]
    return found


def test_requests_of_other_lengths(served):
    """Serving refuses to put them together, or pads with their own first word, which then counts;
    padded to one length by whoever asks, with what the model takes for none, rows are the same."""
    _, model, request = served("words")
    short = {"words": WORDS[:1, :2], "size": request["size"][:1]}
    long = rows_of(request, 1, 2)
    alone = model.predict("attributions", short)
    with pytest.raises(serving_stand_in.Refused, match="different shapes"):
        model.predict_merged("attributions", [short, long], [4])
    padded = {**short, "words": np.array([[*WORDS[0, :2], b""]], object)}
    found, _ = model.predict_merged("attributions", [padded, long], [4])
    np.testing.assert_allclose(found["attributions/words"][:, :2], alone["attributions/words"],
                               rtol=1e-5, atol=1e-6)
    assert np.all(found["attributions/words"][:, 2:] == 0)
    changed, _ = model.predict_merged("attributions", [short, long], [4], padded=True)
    assert abs(changed["prediction"] - alone["prediction"]) > 1e-3


# Asking a server --------------------------------------------------------------------------------


@pytest.fixture(name="servers", params=["rest", "grpc_service"])
def fixture_servers(request):
    if request.param == "grpc_service":
        pytest.importorskip("grpc", reason="grpcio is not installed")
    return getattr(serving_stand_in, request.param)


@pytest.mark.parametrize("name", NAMES)
def test_a_served_model_attributes_as_the_folder_does(served, servers, name):
    path, model, request = served(name)
    records = [{key: array[place] for key, array in request.items()}
               for place in range(len(next(iter(request.values()))))]
    wanted = ig_tf.attribute(path / "7", records)
    with servers(model) as address:
        found = ig_tf.attribute(serving.load(path / "7", address), records)
        versioned = f"{address}/versions/7" if address.startswith("http") else f"{address}/7"
        assert len(ig_tf.attribute(serving.load(path / "7", versioned), records[:1])) == 1
    for one, other in zip(found, wanted, strict=True):
        assert [point.tokens for point in one.points] == [point.tokens for point in other.points]
        for mine, theirs in zip(one.points, other.points):
            np.testing.assert_allclose(mine.scores, theirs.scores, rtol=1e-5, atol=1e-6)


def test_a_server_that_is_not_as_expected_is_said(served, servers):
    path, model, request = served("diabetes_columns")
    records = [{key: array[0] for key, array in request.items()}]
    with servers(model) as address:
        other = serving.load(path / "7", re.sub("/model$", "/other", address))
        with pytest.raises(ServerError, match="(?s)Servable not found.*--model_name"):
            ig_tf.attribute(other, records)
        stale = serving.load(served("digits_cnn")[0] / "7", address)
        with pytest.raises(RecordError, match="refuses the request.*[Ii]nput"):
            ig_tf.attribute(stale, [{"image": np.zeros([8, 8, 1])}])
    with pytest.raises(ServerError, match="Is the server up"):
        ig_tf.attribute(serving.load(path / "7", address), records)


def test_what_names_no_server_is_said(served):
    path, _, _ = served("digits_cnn")
    for address in ("localhost:8500", "grpc://localhost/model", "http://localhost:8501",
                    "http://localhost:8501/v1/models/m:predict"):
        with pytest.raises(ServerError, match="expected http://HOST:PORT"):
            serving.load(path / "7", address)


def test_the_commands_write_for_a_server_and_ask_it(tmp_path):
    """instrument --version --warm_up, then attribute --server: as a team would."""
    feeds, _ = read_examples("diabetes_columns")
    rows = tmp_path / "rows.jsonl"
    rows.write_text("\n".join(json.dumps({key: array[place] if array.dtype == object
                                          else float(array[place])
                                          for key, array in feeds.items()}) for place in (0, 1)))
    status, said, errors = test_programs.ig_tf(
        "instrument", f"--model={MODELS / 'diabetes_columns'}", f"--output={tmp_path / 'out'}",
        f"--steps={STEPS}", "--version=3", f"--warm_up={rows}", "--warm_up_batches=1,2")
    assert status == 0, errors
    assert "2 requests to warm up" in said and f"wrote {tmp_path / 'out' / '3'}" in said
    model = serving_stand_in.Model(tmp_path / "out")
    assert model.warmed == 2
    with serving_stand_in.rest(model) as address:
        status, said, errors = test_programs.ig_tf(
            "attribute", f"--model={tmp_path / 'out' / '3'}", f"--server={address}",
            f"--input={rows}", f"--output={tmp_path / 'results.jsonl'}")
    assert status == 0, errors
    assert "wrote 2 results" in said


# saved_model_cli --------------------------------------------------------------------------------


def saved_model_cli(*arguments):
    """Standard output of the program that comes with TensorFlow."""
    done = subprocess.run([sys.executable, "-m", "tensorflow.python.tools.saved_model_cli",
                           *map(str, arguments)], capture_output=True, text=True, timeout=120,
                          check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def test_saved_model_cli_shows_and_runs_it(served, tmp_path):
    path, model, request = served("digits_cnn")
    np.save(tmp_path / "image.npy", request["image"])
    named = ("--dir", path / "7", "--tag_set", "serve", "--signature_def", "attributions")
    shown = saved_model_cli("show", *named)
    for part in ("inputs['image']", "outputs['attributions/image']", "outputs['prediction']",
                 "tensorflow/serving/predict", "shape: (-1, 8, 8, 1)"):
        assert part in shown
    ran = saved_model_cli("run", *named, "--inputs", f"image={tmp_path / 'image.npy'}")
    printed = ran.partition("Result for output key prediction:")[2].partition("Result for")[0]
    found = np.array(printed.replace("[", " ").replace("]", " ").split(), float)
    np.testing.assert_allclose(found, model.predict("attributions", request)["prediction"],
                               rtol=1e-5)


def test_a_folder_without_the_record_is_refused(tmp_path):
    from ig_tf.errors import ArtifactError
    with pytest.raises(ArtifactError, match="not instrumented"):
        serving.load(tmp_path, "grpc://localhost:8500/m")
