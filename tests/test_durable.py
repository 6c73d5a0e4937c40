"""What is written is there whole or not at all: killed at any moment, on a full disk."""

import json
import os
import pathlib
import resource
import signal
import subprocess
import sys
import types

import numpy as np
import pytest

import ig_tf
from ig_tf.errors import IgTfError, JobError, OutputError, ResultsError
from ig_tf.export import exchange
from ig_tf.export import saved_model as writer
from ig_tf.run import job, results
from tests import builders, conftest, job_models

EVENTS = ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link", "os.chmod",
          "os.utime", "shutil.rmtree", "ctypes.dlsym", "os.truncate")


def killed_at_each_moment(action, check, most=100):
    """Forks a child for each step of an action and kills it there; counts the steps.

    A moment is right before something is opened, made, renamed or removed.
    """
    for moment in range(most):
        child = os.fork()
        if not child:
            steps = iter(range(moment))

            def hook(event, _):
                if event in EVENTS and next(steps, None) is None:
                    signal.raise_signal(signal.SIGKILL)

            try:
                sys.addaudithook(hook)
                action()
                os._exit(0)
            finally:
                os._exit(1)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        check()
        if status == 0:
            return moment
        assert status == -signal.SIGKILL, status
    raise AssertionError("it never ends")


class Message:
    """Of a SavedModel message the part that the writer uses."""

    def __init__(self, data):
        self._data = data

    def SerializeToString(self, deterministic):
        assert deterministic
        return self._data


def source_of(folder):
    (folder / "model/variables").mkdir(parents=True)
    file = folder / "model/variables/variables.index"
    file.write_bytes(b"weights")
    return types.SimpleNamespace(path=str(folder / "model"),
                                 files={"variables/variables.index": str(file)})


@pytest.mark.parametrize("place", [writer.copy_file, writer.link_file])
@pytest.mark.parametrize("exists", [False, True])
def test_a_killed_save_leaves_the_old_or_the_new(tmp_path, place, exists):
    source, output = source_of(tmp_path), tmp_path / "out"
    if not exchange.exchanged(str(source_of(tmp_path / "a").path), str(tmp_path / "model")):
        pytest.skip("this file system cannot exchange two folders in one step")
    if exists:
        writer.write(source, output, Message(b"old"), {"version": "old"})
    found = set()

    def check():
        if not exists and not output.exists():
            found.add(None)
            return
        version = (output / "saved_model.pb").read_bytes().decode()
        assert json.loads((output / "assets.extra/ig_tf.json").read_text())["version"] == version
        assert (output / "variables/variables.index").read_bytes() == b"weights"
        found.add(version)

    moments = killed_at_each_moment(
        lambda: writer.write(source, output, Message(b"new"), {"version": "new"}, place,
                             overwrite=True), check)
    assert found == {"new", "old" if exists else None}
    assert moments > 10


def test_without_the_exchange_an_old_output_is_kept_aside(tmp_path, monkeypatch):
    monkeypatch.setattr(exchange, "exchanged", lambda *_: False)
    source, output = source_of(tmp_path), tmp_path / "out"
    for version in ("old", "new"):
        writer.write(source, output, Message(version.encode()), {}, overwrite=True)
    assert (output / "saved_model.pb").read_bytes() == b"new"
    assert sorted(os.listdir(tmp_path)) == ["model", "out"]


def test_the_exchange_says_what_it_cannot(tmp_path):
    (tmp_path / "one").mkdir()
    with pytest.raises(FileNotFoundError):
        exchange.exchanged(str(tmp_path / "one"), str(tmp_path / "none"))


@pytest.mark.parametrize("ending", ["jsonl", "npz"])
def test_killed_while_results_are_written(tmp_path, ending):
    file = tmp_path / f"results.{ending}"

    def write(number):
        results.write(file, [results.Result(str(number), "converged")] * 3, results.About())

    write(0)
    found = set()

    def check():
        rows = results.read(file)[1]
        assert len(rows) == 3
        found.add(rows[0].id)

    killed_at_each_moment(lambda: write(1), check)
    assert found == {"0", "1"}


@pytest.fixture(name="served", scope="module")
def fixture_served(tmp_path_factory):
    return job_models.save(tmp_path_factory.mktemp("served"))


def limited(command, size=2048):
    """Runs a program that cannot write more than so many bytes into a file."""
    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return subprocess.run([sys.executable, "-m", *command], cwd=conftest.REPO, text=True,
                          capture_output=True, check=False, preexec_fn=limit)


def test_a_full_disk_is_one_clear_error(served, tmp_path):
    rows = tmp_path / "rows.jsonl"
    rows.write_text("".join(json.dumps(row) + "\n" for row in job_models.rows(64)))
    before = sorted(os.listdir(tmp_path))
    done = limited(["tools.attribute_records", f"--model={served}", f"--input={rows}",
                    f"--output={tmp_path / 'results.jsonl'}"])
    assert done.returncode == 2, done.stderr
    assert "error: " in done.stderr and "cannot be written" in done.stderr
    assert "Traceback" not in done.stderr
    assert sorted(os.listdir(tmp_path)) == before


def in_a_child(action, size=2048):
    """The error that an action ends in where no file may grow beyond a size, as text."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        try:
            action()
            os.write(write, b"none")
        except IgTfError as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        except BaseException as error:
            os.write(write, f"TRACEBACK {error!r}".encode())
        os._exit(0)
    os.close(write)
    with open(read, "rb") as stream:
        text = stream.read().decode()
    os.waitpid(child, 0)
    return text


def test_a_full_disk_while_saving(tmp_path):
    source, output = source_of(tmp_path), tmp_path / "out"
    writer.write(source, output, Message(b"old"), {})
    found = in_a_child(lambda: writer.write(source, output, Message(b"x" * 9999), {},
                                            overwrite=True))
    assert found.startswith("OutputError: cannot write") and str(output) in found
    assert (output / "saved_model.pb").read_bytes() == b"old"
    assert sorted(os.listdir(tmp_path)) == ["model", "out"]


@pytest.mark.parametrize("folder", ["/proc/ig_tf", "/sys/ig_tf/deeper"])
def test_folders_that_cannot_be_written(tmp_path, folder):
    """Also for root, for whom no permission is missing."""
    with pytest.raises(OutputError, match="cannot write"):
        writer.write(source_of(tmp_path), f"{folder}/out", Message(b"x"), {})
    with pytest.raises(ResultsError, match="cannot be written"):
        results.write(f"{folder}/results.jsonl", [], results.About())
    with pytest.raises(ResultsError, match="cannot be written"):
        results.write_file(f"{folder}/report.html", b"x")


def test_a_job_in_a_folder_that_cannot_be_written(served, tmp_path):
    (tmp_path / "rows.jsonl").write_text(json.dumps(job_models.rows(1)[0]) + "\n")
    with pytest.raises(JobError, match="cannot make the folder"):
        job.run(job.Job(str(served), str(tmp_path / "rows.jsonl"), "/proc/ig_tf/job"))


def test_a_job_whose_files_cannot_be_removed(served, tmp_path, monkeypatch):
    rows = tmp_path / "rows.jsonl"
    rows.write_text(json.dumps(job_models.rows(1)[0]) + "\n")
    job.run(job.Job(str(served), str(rows), str(tmp_path / "out")))

    def refuse(path):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(os, "unlink", refuse)
    with pytest.raises(JobError, match="cannot be changed: .*Permission denied"):
        job.run(job.Job(str(served), str(rows), str(tmp_path / "out"), batch_size=2, limit=1),
                overwrite=True)


@pytest.mark.parametrize("name", ["with spaces", "ünïcode 模型", "new\nline", "a'b\"c",
                                  "-dash", "%s{}#?&"])
def test_names_of_folders_and_files(tmp_path, name):
    folder = tmp_path / name
    folder.mkdir()
    builders.save_tf2(folder / "model", lambda x, w: tf_sum(w * x ** 2),
                      {"x": builders.spec([None, 2])}, {"w": np.array([1.0, 2.0])})
    ig_tf.save(ig_tf.instrument(ig_tf.load(folder / "model"), steps=4), folder / name)
    (folder / f"{name}.jsonl").write_text('{"x": [1, 2]}\n')
    written = folder / f"results {name}.jsonl"
    assert ig_tf.attribute(folder / name, str(folder / f"{name}.jsonl"), written) == 1
    about, rows = results.read(written)
    assert about.model == name and "<html" in ig_tf.render(rows, about)
    np.testing.assert_allclose(rows[0].points[0].scores, [1, 8])


def tf_sum(values):
    import tensorflow as tf
    return tf.reduce_sum(values, 1)


def test_what_nobody_foresaw_is_one_line(tmp_path):
    """A bug is no traceback on the user's screen, but lies in a file for the report."""
    code = ("import sys; from tools import program\n"
            "def main(_): raise KeyError('what')\n"
            "main.needs_tensorflow = False\n"
            "program.run(main, ['x'], 'doc')")
    done = subprocess.run([sys.executable, "-c", code], cwd=conftest.REPO, capture_output=True,
                          text=True, check=False, env={**os.environ, "TMPDIR": str(tmp_path)})
    assert done.returncode == 70 and "Traceback" not in done.stderr
    assert "this is a bug of ig-tf, please report it with" in done.stderr
    written = next(pathlib.Path(tmp_path).glob("ig_tf_error_*.txt")).read_text()
    assert "Traceback" in written and "KeyError: 'what'" in written
