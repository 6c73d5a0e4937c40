"""Large arrays in JSON: their bytes in base64 rather than a list of decimals.

A photograph of 224 x 224 x 3 numbers is 150,528 decimals, slow to write and to read; as bytes it
is exact, a fraction of the length, and fast. Any language reads it back in a line or two.
"""

import base64
import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError

# Arrays of more elements are packed; up to this size a list that people can read is as good.
MOST_LISTED = 10_000

_KEYS = {"shape", "dtype", "base64"}
_DTYPES = ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
           "float16", "float32", "float64")


def is_large(value: Any) -> bool:
    """Whether `value` is an array of numbers that is packed rather than listed."""
    return isinstance(value, np.ndarray) and value.size > MOST_LISTED and (
        value.dtype.name in _DTYPES)


def is_packed(value: Any) -> bool:
    """Whether `value` is what `pack` makes."""
    return isinstance(value, Mapping) and set(value) == _KEYS


def pack(array: np.ndarray) -> dict[str, Any]:
    """{"shape", "dtype", "base64"}: the elements in C order, little-endian."""
    little = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    return {
        "shape": list(array.shape),
        "dtype": array.dtype.name,
        "base64": base64.b64encode(little.tobytes()).decode("ascii"),
    }


def unpack(value: Mapping[str, Any]) -> np.ndarray:
    """The array that was packed.

    Raises:
      ResultsError: an unknown dtype, a shape that is none, or bytes that do not fill it.
    """
    shape, dtype = value["shape"], value["dtype"]
    if dtype not in _DTYPES:
        raise ResultsError(f"unknown dtype {dtype!r} of a packed array; known: "
                           f"{', '.join(_DTYPES)}")
    if not isinstance(shape, list) or not all(type(n) is int and n >= 0 for n in shape):
        raise ResultsError(f"{shape!r} is not the shape of a packed array")
    try:
        content = base64.b64decode(value["base64"], validate=True)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"a packed array is not base64: {error}") from error
    little = np.dtype(dtype).newbyteorder("<")
    needed = math.prod(shape) * little.itemsize
    if len(content) != needed:
        raise ResultsError(f"a packed array of shape {shape} and {dtype} needs {needed:,} bytes, "
                           f"but has {len(content):,}")
    return np.frombuffer(content, little).reshape(shape).astype(dtype)
