"""The C program c_client.c, built once per process of the tests, and the files it exchanges."""

import functools
import os
import pathlib
import shutil
import struct
import subprocess
import tempfile

import numpy as np
import pytest
import tensorflow as tf

SOURCE = pathlib.Path(__file__).resolve().with_name("c_client.c")
WARNINGS = ("-std=c11", "-Wall", "-Wextra", "-O1")


@functools.lru_cache(maxsize=None)
def program():
    """The path of the built program; skips the test where there is no gcc."""
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc on the PATH: the C program cannot be built")
    library = pathlib.Path(tf.sysconfig.get_lib())
    found = [next(library.glob(f"lib{name}.so*")).name
             for name in ("tensorflow_cc", "tensorflow_framework")]
    path = pathlib.Path(tempfile.mkdtemp(prefix="ig_tf_c_client_")) / "c_client"
    done = subprocess.run(
        [compiler, *WARNINGS, f"-I{tf.sysconfig.get_include()}", SOURCE, "-o", path, f"-L{library}",
         *(f"-l:{name}" for name in found), f"-Wl,-rpath,{library}"],
        capture_output=True, text=True, timeout=120, check=False)
    if done.returncode:
        pytest.fail(f"gcc: {done.stderr[-4000:]}")
    return path


def ask(folder, signature, arrays, work):
    """What the C library answers.

    Args:
      folder: a SavedModel.
      signature: which of its signatures.
      arrays: {input: array}; strings as arrays of bytes objects.
      work: a folder for the request and the answer.

    Returns:
      {output: array}; strings as arrays of bytes objects.
    """
    done = attempt(folder, signature, arrays, work)
    if done.returncode:
        pytest.fail(f"c_client ended with {done.returncode}: {done.stderr[-4000:]}")
    return _tensors((work / "answer").read_bytes())


def attempt(folder, signature, arrays, work):
    """The ended process, whatever became of it."""
    (work / "request").write_bytes(b"".join(_packed(key, np.asarray(array))
                                            for key, array in arrays.items()))
    # No Python, and no path to this project: all that the program has is the model.
    environment = {"PATH": os.environ.get("PATH", ""), "TF_CPP_MIN_LOG_LEVEL": "2",
                   "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run([program(), folder, signature, work / "request", work / "answer"],
                          capture_output=True, text=True, timeout=300, env=environment, check=False)


def _packed(key, array):
    dtype = tf.string if array.dtype == object else tf.as_dtype(array.dtype)
    name = key.encode()
    head = struct.pack("=I", len(name)) + name + struct.pack(
        f"=II{array.ndim}q", dtype.as_datatype_enum, array.ndim, *array.shape)
    if dtype != tf.string:
        return head + array.tobytes()
    return head + b"".join(struct.pack("=Q", len(one)) + one for one in array.ravel())


def _tensors(data):
    found, at = {}, 0

    def take(layout):
        nonlocal at
        values = struct.unpack_from("=" + layout, data, at)
        at += struct.calcsize("=" + layout)
        return values

    while at < len(data):
        length, = take("I")
        key, = take(f"{length}s")
        number, rank = take("II")
        shape, dtype = take(f"{rank}q"), tf.as_dtype(number)
        count = int(np.prod(shape, dtype=np.int64))
        if dtype == tf.string:
            texts = [take(f"{take('Q')[0]}s")[0] for _ in range(count)]
            array = np.array(texts, object)
        else:
            array = np.frombuffer(data, dtype.as_numpy_dtype, count, at)
            at += array.nbytes
        found[key.decode()] = array.reshape(shape)
    return found
