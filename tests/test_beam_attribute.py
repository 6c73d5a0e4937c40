"""`ig_tf.run.beam.Attribute` in pipelines: the rows of a job, whoever runs them."""

import importlib.util
import json
import pathlib
import pickle
import re

import pytest
import tensorflow as tf

import ig_tf
from ig_tf.errors import JobError
from ig_tf.run import artifact, beam, beam_rows, job
from tests import job_models

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs/clusters.md"
COUNT, BAD = 11, 4
WITHOUT_BEAM = pytest.mark.skipif(
    importlib.util.find_spec("apache_beam") is None,
    reason="apache_beam is an optional extra: pip install 'ig_tf[beam]'")


@pytest.fixture(scope="module", name="model")
def fixture_model(tmp_path_factory):
    return str(job_models.save(tmp_path_factory.mktemp("beam")))


@pytest.fixture(scope="module", name="examples")
def fixture_examples(tmp_path_factory):
    """A model of serialized tf.Examples: score = a ** 2."""
    def serve(examples):
        parsed = tf.io.parse_example(examples, {"a": tf.io.FixedLenFeature([], tf.float32)})
        return {"score": parsed["a"] ** 2}

    folder, module = tmp_path_factory.mktemp("examples"), tf.Module()
    module.serve = tf.function(serve, autograph=False, input_signature=[
        tf.TensorSpec([None], tf.string, "examples")])
    tf.saved_model.save(module, str(folder / "plain"), signatures=module.serve)
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "plain"), steps=2), folder / "model")
    return str(folder / "model")


def records():
    """Records of which one is refused, without ids but for two."""
    rows = job_models.rows(COUNT)
    rows[BAD]["text"] = "poison"
    return [row if number in (0, BAD) else {name: value for name, value in row.items()
                                            if name != "id"} for number, row in enumerate(rows)]


def answered(model, form="wide", **options):
    asked = job.Job(model, (), "", form=form, **options)
    return beam_rows.Rows(asked, {"label": "int64"})


@pytest.mark.parametrize("form", ["wide", "long"])
def test_rows_are_those_of_a_job(model, tmp_path, form):
    """Against a job's own table of the same records; the record that fails is one row."""
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is an optional extra")
    (tmp_path / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in records()))
    job.run(job.Job(model, tmp_path / "rows.jsonl", tmp_path / "out", format="parquet", form=form,
                    keep=("label",), on_error="skip"))
    wanted = parquet.read_table(tmp_path / "out").to_pylist()
    for row in wanted:
        number = row.pop("position")
        row["id"] = f"r{number}" if number in (0, BAD) else None
        if row["status"] == "error":
            row["message"] = None
    found = answered(model, form, on_error="skip").of(records())
    said = [row["message"] for row in found if row["status"] == "error"]
    assert len(said) == 1 and "poison" in said[0]
    assert [{**row, "message": None} for row in found] == wanted


def test_what_fails_is_said(model):
    with pytest.raises(JobError, match="a record fails.*poison.*on_error='skip'"):
        answered(model).of(records())
    row, = answered(model, on_error="skip").of(["no record"])
    assert row["status"] == "error" and "found str" in row["message"] and row["id"] is None


def test_without_beam_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(beam, "apache_beam", None)
    monkeypatch.setattr(beam, "_MISSING", "no such module", raising=False)
    with pytest.raises(JobError, match=r"Attribute needs Apache Beam: pip install 'ig_tf\[beam\]'"):
        beam.Attribute("model")
    with pytest.raises(JobError, match="--engine=beam needs Apache Beam"):
        beam.run(None, None, [], None, None)


@WITHOUT_BEAM
def test_options_that_are_none_are_refused():
    for options, said in (({"bach_size": 3}, "bach_size.*no such option"),
                          ({"keep": {"label": "float"}}, "'float' is no type"),
                          ({"form": "tall"}, "form='tall'"), ({"on_error": "hide"}, "'hide'")):
        with pytest.raises(JobError, match=said):
            beam.Attribute("model", **options)


@WITHOUT_BEAM
def test_a_runner_that_writes_nothing_is_refused():
    import apache_beam
    from apache_beam.runners.runner import PipelineRunner
    runner = type("DaskRunner", (PipelineRunner,), {})()
    with pytest.raises(JobError, match="DaskRunner: it ends with status 0 and writes nothing"):
        _ = apache_beam.Pipeline(runner=runner) | apache_beam.Create([{}]) | beam.Attribute("model")


@WITHOUT_BEAM
def test_in_a_pipeline(model, examples, monkeypatch, tmp_path):
    """Dictionaries and serialized examples; a model is loaded once, and travels by its path."""
    import apache_beam
    loads, load = [], artifact.load
    monkeypatch.setattr(artifact, "load", lambda path, *more: (
        loads.append(str(path)), load(path, *more))[1])
    raws = []
    for number in range(9):
        example = tf.train.Example()
        example.features.feature["a"].float_list.value.append(number)
        raws.append(example.SerializeToString())
    transforms = {"dictionaries": beam.Attribute(model, {"label": "int64"}, on_error="skip"),
                  "examples": beam.Attribute(examples, batch_size=4)}
    assert len(pickle.dumps(beam._Explain({}, {}))) < 1000
    with apache_beam.Pipeline(runner="DirectRunner") as pipeline:
        for name, given in (("dictionaries", records()), ("examples", raws)):
            _ = (pipeline | f"{name} in" >> apache_beam.Create(given) | name >> transforms[name]
                 | f"{name} text" >> apache_beam.Map(json.dumps)
                 | f"{name} out" >> apache_beam.io.WriteToText(str(tmp_path / name)))
    found = {name: [json.loads(line) for file in tmp_path.glob(f"{name}-*")
                    for line in file.read_text().splitlines()] for name in transforms}
    by_label = sorted(found["dictionaries"], key=lambda row: (row["prediction"] or 0, str(row)))
    wanted = sorted(answered(model, on_error="skip").of(records()),
                    key=lambda row: (row["prediction"] or 0, str(row)))
    assert [row["status"] for row in by_label].count("error") == 1
    assert [{**row, "message": None} for row in by_label] == [
        {**row, "message": None} for row in wanted]
    assert sorted(row["prediction"] for row in found["examples"]) == [n * n for n in range(9)]
    assert all(row["features/a"] == row["prediction"] for row in found["examples"])
    assert loads.count(model) == 2 and loads.count(examples) == 1  # once here, for comparing


@WITHOUT_BEAM
def test_the_example_of_the_page(model, tmp_path, monkeypatch, capsys):
    pyarrow = pytest.importorskip("pyarrow", reason="pyarrow is an optional extra")
    parquet = pytest.importorskip("pyarrow.parquet")
    rows = job_models.rows(COUNT)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "my_model_ig").symlink_to(model)
    monkeypatch.chdir(tmp_path)
    text = PAGE.read_text(encoding="utf-8")
    code, = re.findall(r"```python\n([^`]*ig_tf\.run\.beam[^`]*)```", text)
    exec(compile(code, PAGE.name, "exec"), {"__name__": "page"})
    best = {}
    for row in rows:
        score = job_models.truth(row)[0]
        if score:  # else nothing is to be explained
            best[row["label"]] = max(score, best.get(row["label"], 0))
    assert sorted(capsys.readouterr().out.split("\n"))[-len(best):] == [
        f"({label}, {score})" for label, score in sorted(best.items())]
