"""TensorFlow 1.15.5 on Python 3.7, for tests that need the real one.

    def test_something(tmp_path):
        old_tensorflow.run(old_tensorflow.PROGRAMS / "recorded_estimator.py", tmp_path)

The interpreter is the one that IG_TF_TF115_PYTHON names. Where that is not set, an environment is
made once per machine, in the user's cache, from any Python 3.7 that is installed.
"""

import fcntl
import functools
import os
import pathlib
import shutil
import subprocess
import sys

import pytest

REPO = pathlib.Path(__file__).resolve().parent.parent
PROGRAMS = REPO / "tests" / "old"  # programs for Python 3.7
VARIABLE = "IG_TF_TF115_PYTHON"
TENSORFLOW = "1.15.5"
# TensorFlow 1.15 names no upper bound, and what newer protobufs generate it cannot read.
REQUIREMENTS = (f"tensorflow=={TENSORFLOW}", "protobuf<3.21")
INSTALL_SECONDS = 900
ASK = "import tensorflow as tf; print(tf.__version__)"


class Unavailable(Exception):
    """There is no such environment, and none could be made: why."""


def python():
    """The path of a Python 3.7 with TensorFlow 1.15.5; skips the test where there is none."""
    path, why = _found_or_made()
    if path is None:
        pytest.skip(f"no TensorFlow {TENSORFLOW}: {why}")
    return path


def run(program, *arguments, timeout=300):
    """Runs a program in TensorFlow 1.15.5, in which this repository can be imported.

    Args:
      program: the path of a program, or its text.
      arguments: its command line.
      timeout: seconds.

    Returns:
      What it wrote to standard output. The test fails where the program does.
    """
    start = [str(program)] if isinstance(program, pathlib.Path) else ["-c", program]
    command = [python(), *start, *map(str, arguments)]
    try:
        done = _run(command, timeout)
    except subprocess.TimeoutExpired:
        pytest.fail(f"{' '.join(command)} did not end in {timeout} s")
    if done.returncode:
        pytest.fail(f"{' '.join(command)} ended with {done.returncode}:\n{done.stderr[-8000:]}")
    return done.stdout


def _run(command, timeout):
    environment = {**os.environ, "PYTHONPATH": str(REPO), "CUDA_VISIBLE_DEVICES": "",
                   "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONWARNINGS": "ignore"}
    # These belong to the Python that runs the tests. TensorFlow 2 sets TF2_BEHAVIOR on import.
    for name in ("PYTHONHOME", "VIRTUAL_ENV", "__PYVENV_LAUNCHER__", "TF2_BEHAVIOR"):
        environment.pop(name, None)
    return subprocess.run(command, env=environment, capture_output=True, text=True,
                          timeout=timeout, check=False)


@functools.lru_cache(maxsize=None)
def _found_or_made():
    """(path, None) or (None, why there is none), the same for all tests of a process."""
    named = os.environ.get(VARIABLE)
    if named:
        done = _run([named, "-c", ASK], 120) if shutil.which(named) else None
        if done is None or done.stdout.strip() != TENSORFLOW:
            found = "it cannot be run" if done is None else done.stdout or done.stderr[-500:]
            raise ValueError(f"{VARIABLE}={named} should be a Python with TensorFlow {TENSORFLOW}; "
                             f"found: {found}")
        return named, None
    try:
        return _made(), None
    except Unavailable as error:
        return None, str(error)


def _made():
    """The Python of the environment in the cache, which is made if it is not there."""
    cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache")
    folder = cache / "ig_tf" / f"tensorflow-{TENSORFLOW}"
    path, ready = folder / "bin" / "python", folder / "ready"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with open(folder.parent / f"{folder.name}.lock", "w", encoding="utf-8") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # tests run in several processes
            if not ready.exists():
                shutil.rmtree(folder, ignore_errors=True)
                _make(folder, path)
                ready.touch()
    except OSError as error:
        raise Unavailable(f"{folder} cannot be made: {error}") from error
    return str(path)


def _make(folder, path):
    print(f"making {folder}, once", file=sys.stderr)
    _step([_python37(), "-m", "venv", str(folder)])
    _step([str(path), "-m", "pip", "install", "--quiet", "--upgrade", "pip"])
    _step([str(path), "-m", "pip", "install", "--quiet", *REQUIREMENTS])
    done = _step([str(path), "-c", ASK])
    if done.stdout.strip() != TENSORFLOW:
        raise Unavailable(f"the environment made has TensorFlow {done.stdout.strip()!r}")


def _step(command):
    try:
        done = _run(command, INSTALL_SECONDS)
    except subprocess.TimeoutExpired as error:
        raise Unavailable(f"{' '.join(command)} did not end in {INSTALL_SECONDS} s") from error
    if done.returncode:
        raise Unavailable(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")
    return done


def _python37():
    """Any Python 3.7 of the machine: on the PATH or of pyenv."""
    pyenv = pathlib.Path(os.environ.get("PYENV_ROOT") or pathlib.Path.home() / ".pyenv")
    candidates = [shutil.which("python3.7")]
    candidates += sorted(map(str, pyenv.glob("versions/3.7*/bin/python")), reverse=True)
    for candidate in filter(None, candidates):
        # A shim of pyenv may stand for a version that is not switched on.
        done = _run([candidate, "-c", "import sys; print(sys.version_info[:2])"], 60)
        if done.stdout.strip() == "(3, 7)":
            return candidate
    raise Unavailable(f"no Python 3.7 on the PATH or in {pyenv}/versions, and {VARIABLE} is not "
                      "set")
