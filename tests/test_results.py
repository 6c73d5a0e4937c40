"""Result rows and files: what is written comes back, and what is broken is said."""

import base64
import json
import math

import numpy as np
import pytest

from ig_tf import errors
from ig_tf.run import results
from ig_tf.run.results import About, PointScores, Result, ResultsError, Target

EXTENSIONS = sorted(results.FORMATS)

ABOUT = About(
    model="saved_models/demo", signature="serving_default", target="probabilities:top",
    points=({"name": "words", "kind": "tokens", "tensor": "lookup:0", "features": ["text"]},),
    baseline="zeros", steps=50, rule="gauss_legendre", tensorflow="2.21.0",
    held_constant=("keep_prob",), notes=("a note with ünïcode",))


def tokens(scores, words, name="words"):
    return PointScores(name, "tokens", np.array(scores, np.float64), words, ("text",))


def tabular(number, **changes):
    return Result(**{**dict(
        id=str(number), status="converged", target=Target("probabilities", 1, "positive"),
        prediction=0.93, baseline_prediction=0.2, completeness_error=1e-4, relative_error=2e-4,
        points=(PointScores("age", "dense", [0.5 + number], None, ("age",)),
                PointScores("job", "one_hot", 0.25, None, ("job",))),
        features={"age": 0.5 + number, "job": 0.25},
        inputs={"age": 39.0, "job": "Säles"}), **changes})


CASES = {
    "none": [],
    "tabular": [tabular(0), tabular(1)],
    "ragged_text": [
        Result("a", "converged", points=[tokens([0.5, -0.25, 0.0], ["日本", "<b>", "\u202ex"])]),
        Result("b", "capped", points=[tokens([1.0], ["only"])]),
        Result("c", "converged", points=[tokens([], [])]),
    ],
    "only_empty_text": [Result("a", "converged", points=[tokens([], [])])],
    "ids": [Result("a", "converged", points=[tokens([0.5, 1.0], [7, -1])]),
            Result("b", "converged", points=[tokens([2.0], [12])])],
    "awkward_tokens": [Result("a\0", "converged", message="ends\0", points=[
        tokens([1, 2, 3, 4, 5], ["nul\0", "", 3, 2**70, "\ud800"])])],
    "several_axes": [Result("a", "converged", target=Target("note", (86, 48), None),
                            points=[PointScores("e", "tokens", np.ones((2, 3)), ["x", "y"])]),
                     Result("b", "converged", target=Target("note", (1, 2), None))],
    "failed": [tabular(0), Result("x", "error", "could not decode 'a.jpg'"), tabular(2)],
    "not_finite": [tabular(0, prediction=math.nan, relative_error=math.inf,
                           features={"age": math.nan},
                           points=[PointScores("age", "dense", [math.nan, 1.0, math.inf])])],
    "images": [Result(str(i), "converged",
                      points=[PointScores("image", "image", np.arange(12.0).reshape(2, 2, 3) - i)],
                      inputs={"image": [[0.0, 0.5], [1.0, 0.25]], "file": b"\xff\xd8\xff\x00"})
               for i in range(2)],
    "empty_axes": [Result("a", "converged", points=[PointScores("z", "dense", np.zeros((0, 3)))])],
}


def rows(found):
    return [results.row_of(result) for result in found]


@pytest.mark.parametrize("extension", EXTENSIONS)
@pytest.mark.parametrize("case", CASES)
def test_round_trip(tmp_path, case, extension):
    path = tmp_path / f"results{extension}"
    results.write(path, iter(CASES[case]), ABOUT)
    about, found = results.read(path)
    assert about == ABOUT or results.about_row(about) == results.about_row(ABOUT)
    assert rows(found) == rows(CASES[case])
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]


def test_row_is_strict_json_with_null_for_what_is_not_finite():
    row = results.row_of(CASES["not_finite"][0])
    text = json.dumps(row, allow_nan=False)
    assert json.loads(text)["prediction"] is None
    assert row["points"][0]["scores"] == [None, 1.0, None]
    assert row["features"] == {"age": None}
    back = results.result_of(row)
    assert math.isnan(back.points[0].scores[2]) and math.isnan(back.features["age"])


def test_row_has_the_keys_of_the_contract():
    row = results.row_of(tabular(0))
    assert list(row) == ["id", "status", "message", "target", "prediction", "baseline_prediction",
                         "completeness_error", "relative_error", "points", "features", "inputs"]
    assert row["target"] == {"output": "probabilities", "index": 1, "label": "positive"}
    assert row["points"][1] == {
        "name": "job", "kind": "one_hot", "features": ["job"], "shape": [], "scores": 0.25}


def test_float32_scores_are_written_in_their_own_digits():
    scores = np.array([0.1, 1 / 3], np.float32)
    row = results.row_of(Result("a", "converged", points=[PointScores("x", "dense", scores)]))
    assert row["points"][0]["scores"] == [0.1, 0.33333334]
    back = results.result_of(row).points[0].scores
    np.testing.assert_array_equal(back.astype(np.float32), scores)


LARGE = (101, 100)


def large(dtype, shape=LARGE):
    return (np.random.default_rng(0).normal(size=shape) * 100).astype(dtype)


@pytest.mark.parametrize(
    "dtype", ["float16", "float32", "float64", ">f4", "uint8", "int64", "bool"])
def test_large_arrays_are_written_as_their_bytes(tmp_path, dtype):
    scores = large("float64" if np.dtype(dtype).kind in "iub" else dtype)
    scores[0, :3] = np.nan, np.inf, -0.0
    sent = large(dtype).T  # not in C order
    one = Result("a", "converged", points=[PointScores("x", "dense", scores)], inputs={"i": sent})
    path = tmp_path / "r.jsonl"
    results.write(path, [one], ABOUT)
    row = json.loads(path.read_bytes())
    name = np.dtype(dtype).newbyteorder("=").name
    assert row["inputs"]["i"] == {
        "shape": [100, 101], "dtype": name, "base64": row["inputs"]["i"]["base64"]}
    raw = base64.b64decode(row["inputs"]["i"]["base64"])
    assert raw == sent.astype(np.dtype(dtype).newbyteorder("<")).tobytes("C")
    _, (found,) = results.read(path)
    for back, there in ((found.points[0].scores, scores), (found.inputs["i"], sent)):
        np.testing.assert_array_equal(back, there)
        assert back.dtype == there.dtype.newbyteorder("=") and back.flags.writeable


def test_arrays_of_ten_thousand_elements_stay_lists():
    scores = np.ones((100, 100), np.float32)
    row = results.row_of(Result("a", "converged", points=[PointScores("x", "dense", scores)],
                                inputs={"x": scores, "text": np.full(LARGE, "a")}))
    assert row["points"][0]["scores"] == row["inputs"]["x"] == scores.tolist()
    assert row["inputs"]["text"][100][99] == "a"


def test_a_photograph_is_short(tmp_path):
    path = tmp_path / "r.jsonl"
    numbers = large(np.float32, (224, 224, 3))
    results.write(path, [Result("a", "converged", points=[PointScores("x", "image", numbers)],
                                inputs={"x": numbers})], ABOUT)
    assert path.stat().st_size < 2 * 4 / 3 * numbers.nbytes + 1000


def test_npz_keeps_large_inputs_that_do_not_stack(tmp_path):
    path = tmp_path / "r.npz"
    sent = [large(np.float32), large(np.float32, (3, 4000))]
    results.write(path, [Result(str(i), "converged", inputs={"i": sent[i]}) for i in (0, 1)], ABOUT)
    for back, there in zip(results.read(path)[1], sent, strict=True):
        np.testing.assert_array_equal(back.inputs["i"], there)


PACKED = {"shape": [2], "dtype": "float32", "base64": "AAAAAAAAgD8="}


@pytest.mark.parametrize("changes, words", [
    ({"dtype": "object"}, "unknown dtype 'object'"),
    ({"dtype": ["float32"]}, "unknown dtype"),
    ({"shape": [3]}, "needs 12 bytes, but has 8"),
    ({"shape": [-2]}, r"\[-2\] is not the shape"),
    ({"shape": 2}, "2 is not the shape"),
    ({"base64": "AAA"}, "not base64"),
    ({"base64": 7}, "not base64"),
])
def test_broken_packed_arrays_are_said(changes, words):
    point = {"name": "x", "kind": "dense", "shape": [2], "scores": PACKED}
    row = {"id": "1", "status": "converged", "points": [point], "inputs": {"i": PACKED}}
    good = results.result_of(row)
    np.testing.assert_array_equal([good.points[0].scores, good.inputs["i"]], [[0, 1], [0, 1]])
    with pytest.raises(ResultsError, match=f"point 'x': .*{words}"):
        results.result_of({**row, "points": [{**point, "scores": {**PACKED, **changes}}]})
    with pytest.raises(ResultsError, match=f"input 'i': .*{words}"):
        results.result_of({**row, "inputs": {"i": {**PACKED, **changes}}})
    with pytest.raises(ResultsError, match=r"scores have shape \[2\], but the row says \[1, 2\]"):
        results.result_of({**row, "points": [{**point, "shape": [1, 2]}]})


def test_the_error_is_that_of_the_package():
    assert ResultsError is errors.ResultsError and issubclass(ResultsError, ValueError)


def test_bytes_become_text_or_base64_with_their_media_type():
    inputs = {"text": "naïve".encode(), "photo": b"\xff\xd8\xff\xe0", "blob": b"\xfe\x00",
              "count": np.int64(3), "names": np.array([b"a", b"b"], object)}
    row = results.row_of(Result("a", "converged", inputs=inputs))["inputs"]
    assert row == {"text": "naïve", "photo": {"base64": "/9j/4A==", "media": "image/jpeg"},
                   "blob": {"base64": "/gA=", "media": "application/octet-stream"},
                   "count": 3, "names": ["a", "b"]}


def test_npz_arrays_for_numpy_users(tmp_path):
    path = tmp_path / "r.npz"
    results.write(path, CASES["ragged_text"] + [Result("d", "error", "no")], ABOUT)
    with np.load(path, allow_pickle=False) as arrays:
        assert arrays["id"].tolist() == ["a", "b", "c", "d"]
        assert arrays["status"].tolist() == ["converged", "capped", "converged", "error"]
        assert arrays["length/words"].tolist() == [3, 1, 0, 0]
        assert arrays["tokens/words"].tolist()[1] == ["only", "", ""]
        np.testing.assert_array_equal(arrays["attributions/words"][:2],
                                      [[0.5, -0.25, 0.0], [1.0, 0.0, 0.0]])
        assert np.isnan(arrays["prediction"]).all()


def test_npz_pads_ids_with_minus_one_and_targets_too(tmp_path):
    path = tmp_path / "r.npz"
    results.write(path, CASES["ids"], ABOUT)
    with np.load(path) as arrays:
        assert arrays["tokens/words"].tolist() == [[7, -1], [12, -1]]
        assert arrays["target_index"].tolist() == [-1, -1]
    results.write(path, CASES["several_axes"], ABOUT)
    with np.load(path) as arrays:
        assert arrays["target_index"].tolist() == [[86, 48], [1, 2]]


def test_npz_stacks_numeric_inputs_and_leaves_out_what_is_too_long(tmp_path):
    path = tmp_path / "r.npz"
    pictures = [np.full((4, 4), i, np.uint8) for i in range(2)]
    results.write(path, [Result(str(i), "converged", inputs={
        "image": pictures[i], "book": "x" * (2 << 20), "n": i}) for i in range(2)], ABOUT)
    _, found = results.read(path)
    np.testing.assert_array_equal(found[1].inputs["image"], pictures[1])
    assert found[1].inputs["n"] == 1 and "book" not in found[1].inputs


def test_npz_refuses_points_of_different_shapes_and_leaves_no_file(tmp_path):
    path = tmp_path / "r.npz"
    differing = [Result(str(n), "converged", points=[PointScores("x", "dense", np.zeros(n))])
                 for n in (2, 3)]
    with pytest.raises(ResultsError, match=r"'x'.*\[2\].*\[3\] in row '3'.*\.jsonl"):
        results.write(path, differing, ABOUT)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_a_failed_write_leaves_the_old_file(tmp_path, extension):
    path = tmp_path / f"r{extension}"
    results.write(path, [tabular(0)], ABOUT)

    def failing():
        yield tabular(1)
        raise RuntimeError("the model went away")

    with pytest.raises(RuntimeError):
        results.write(path, failing(), About(model="other"))
    about, found = results.read(path)
    assert about.model == ABOUT.model and rows(found) == rows([tabular(0)])
    assert not [p for p in tmp_path.iterdir() if p.name.endswith(".tmp")]


def test_jsonl_without_its_model_card(tmp_path):
    path = tmp_path / "r.jsonl"
    results.write(path, [tabular(0)], ABOUT)
    results.about_path(path).unlink()
    about, found = results.read(path)
    assert about == About() and len(found) == 1


@pytest.mark.parametrize("verb", ["read", "write"])
def test_unknown_extension_lists_the_known_ones(tmp_path, verb):
    arguments = [tmp_path / "r.csv"] + ([[], ABOUT] if verb == "write" else [])
    with pytest.raises(ResultsError, match=r"'\.csv'; known: \.jsonl, \.npz"):
        getattr(results, verb)(*arguments)


@pytest.mark.parametrize("extension", EXTENSIONS)
def test_missing_file_and_missing_folder(tmp_path, extension):
    with pytest.raises(ResultsError, match="cannot be read"):
        results.read(tmp_path / f"none{extension}")
    with pytest.raises(ResultsError, match="cannot be written"):
        results.write(tmp_path / "no" / f"r{extension}", [], ABOUT)


GOOD = {"id": "1", "status": "converged",
        "points": [{"name": "x", "kind": "dense", "shape": [1], "scores": [1.0]}]}


@pytest.mark.parametrize("line, words", [
    (b'{"id": "2"', "Expecting"),
    (b"\xff\xfe", "codec|decode"),
    (b"[1, 2]", "JSON object, not list"),
    (b'{"status": "capped"}', "'id' is missing"),
    (b'{"id": "2", "status": "fine"}', "unknown status 'fine'"),
    (b'{"id": "2", "status": "capped", "prediction": "high"}', "'prediction' must be"),
    (json.dumps({**GOOD, "points": [{**GOOD["points"][0], "shape": [2]}]}).encode(), r"says \[2\]"),
    (json.dumps({**GOOD, "points": [{**GOOD["points"][0], "scores": [[1], [2, 3]]}]}).encode(),
     "do not make an array"),
    (json.dumps({**GOOD, "points": [{**GOOD["points"][0], "kind": "tokens"}]}).encode(),
     "0 tokens but scores of shape"),
    (json.dumps({**GOOD, "points": [{**GOOD["points"][0], "kind": "magic"}]}).encode(),
     "unknown kind 'magic'"),
    (json.dumps({**GOOD, "points": [7]}).encode(), "not in int"),
    (json.dumps({**GOOD, "points": GOOD["points"] * 2}).encode(), "two points of one name"),
    (b"[" * 100_000, "recursion|nest"),
])
def test_broken_lines_are_named(tmp_path, line, words):
    path = tmp_path / "r.jsonl"
    path.write_bytes(json.dumps(GOOD).encode() + b"\n\n" + line + b"\n")
    with pytest.raises(ResultsError, match=rf"(?s)r\.jsonl, line 3: .*({words})"):
        results.read(path)


def test_nan_of_other_writers_is_read_as_null(tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text('{"id": 5, "status": "capped", "prediction": NaN}\n')
    _, (found,) = results.read(path)
    assert found.id == "5" and found.prediction is None


def test_broken_archives(tmp_path):
    path = tmp_path / "r.npz"
    results.write(path, [tabular(0), tabular(1)], ABOUT)
    whole = path.read_bytes()
    for content in (b"", b"text", whole[:100], whole[:-30]):
        path.write_bytes(content)
        with pytest.raises(ResultsError, match="not a whole .npz file"):
            results.read(path)
    np.savez(path, x=np.zeros(3))
    with pytest.raises(ResultsError, match="no array 'about'"):
        results.read(path)
    np.savez(path, about=np.array([{"pickled": 1}], object))
    with pytest.raises(ResultsError, match="allow_pickle"):
        results.read(path)


def test_archive_with_an_array_gone_or_short(tmp_path):
    path = tmp_path / "r.npz"
    results.write(path, [tabular(0), tabular(1)], ABOUT)
    with np.load(path) as arrays:
        arrays = dict(arrays)
    np.savez(path, **{k: v for k, v in arrays.items() if k != "attributions/age"})
    with pytest.raises(ResultsError, match="row 0: 'attributions/age' is missing"):
        results.read(path)
    np.savez(path, **{**arrays, "prediction": np.zeros(1)})
    with pytest.raises(ResultsError, match=r"'prediction' has shape \[1\], .* 2 rows"):
        results.read(path)


@pytest.mark.parametrize("numbers, status", [
    ((0.9, 0.1, 0.01, 0.0125), "converged"),
    ((0.9, 0.1, 0.04, 0.05), "converged"),
    ((0.9, 0.1, 0.041, 0.0501), "capped"),
    ((0.5, 0.5, 0.0, math.nan), "baseline_equal"),
    ((0.0, 0.0, 0.0, 0.0), "baseline_equal"),
    ((1.0, 0.99991, 0.0, 0.0), "baseline_equal"),
    ((1.0, 0.9998, 0.0, 0.0), "converged"),
    ((1e-9, 0.0, 0.0, 0.0), "converged"),
    ((math.nan, 0.1, 0.0, 0.0), "invalid_input"),
    ((0.9, 0.1, math.inf, 0.0), "invalid_input"),
    ((0.5, 0.5, math.nan, 0.0), "invalid_input"),
    ((0.9, 0.1, 0.0, math.nan), "invalid_input"),
    ((None, 0.1, 0.0, 0.0), "invalid_input"),
])
def test_status_of(numbers, status):
    assert results.status_of(*numbers) == status


def test_status_of_takes_a_tolerance():
    assert results.status_of(1.0, 0.0, 0.02, 0.02, tolerance=0.01) == "capped"


def test_target_text():
    assert Target("p").text() == "p"
    assert Target("p", 0).text() == "p[0]"
    assert Target("note", (86, 48)).text() == "note[86,48]"


def test_tokens_may_be_bytes_and_numpy():
    point = tokens([1, 2, 3], [b"caf\xc3\xa9", np.int32(4), np.bytes_(b"\xff")])
    assert point.tokens == ("café", 4, "\\xff")
