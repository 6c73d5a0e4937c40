"""What all tests share: a quiet TensorFlow on few threads, and the folder of real models."""

import os
import pathlib

import pytest

# Read by TensorFlow when it is first imported, so before any test module. Subprocesses of tests
# inherit them.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ["CUDA_VISIBLE_DEVICES"] = ""
# pytest-xdist runs one process per core: more threads in each would only take turns. Two between
# ops and not one, since with one a blocking op (a queue's dequeue) could starve what it waits for.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
os.environ.setdefault("TF_NUM_INTEROP_THREADS", "2")

REPO = pathlib.Path(__file__).resolve().parent.parent


def zoo_path():
    """Where the zoo of real models would be; it is not part of this repository."""
    named = os.environ.get("IG_TF_ZOO")
    return pathlib.Path(named) if named else REPO.parent / "shared" / "zoo"


@pytest.fixture(scope="session")
def zoo():
    """The folder of real third-party models; skips where there is none."""
    path = zoo_path()
    if not path.is_dir():
        pytest.skip(f"no zoo of real models at {path}: set IG_TF_ZOO to its folder")
    return path


@pytest.fixture(scope="session")
def zoo_model(zoo):
    """A function from a name in the zoo ('taxi', 'census_wide_deep/raw') to its folder."""

    def find(name):
        path = zoo / name
        if not path.exists():
            pytest.skip(f"the zoo at {zoo} has no {name}")
        return path

    return find
