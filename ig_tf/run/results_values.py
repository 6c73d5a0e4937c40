"""Single values of a results file to and from JSON, and what is said when one is wrong."""

import base64
import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ig_tf.errors import ResultsError

# First bytes of the image formats that a model can be sent.
_MAGIC = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
)

_ENCODER = json.JSONEncoder(allow_nan=False)


@contextlib.contextmanager
def located(place: str) -> Iterator[None]:
    """Says in which file and line a row is broken, whatever breaks."""
    try:
        yield
    except ResultsError as error:
        raise ResultsError(f"{place}: {error}") from error
    except KeyError as error:
        raise ResultsError(f"{place}: {error} is missing") from error
    except (ValueError, TypeError, AttributeError, IndexError, OverflowError,
            RecursionError) as error:
        raise ResultsError(f"{place}: {error}") from error


def dump(value: Any, indent: int | None = None) -> bytes:
    """JSON in ASCII, which also carries lone surrogates; NaN must have been taken out."""
    if indent is None:
        return _ENCODER.encode(value).encode("ascii")
    return json.dumps(value, allow_nan=False, indent=indent).encode("ascii")


def load(text: bytes | str) -> Any:
    """JSON of any writer: some leave NaN in theirs, which means the same as null."""
    return json.loads(text, parse_constant=lambda _: None)


def take(row: Any, key: str, types: tuple[type, ...], *default: Any) -> Any:
    """row[key], which must be of one of the types; the default where there is none."""
    if not isinstance(row, dict):
        raise ResultsError(f"{key!r} is looked for in a JSON object, not in {type_name(row)}")
    if key not in row:
        if default:
            return default[0]
        raise ResultsError(f"key {key!r} is missing")
    if not isinstance(row[key], types):
        names = " or ".join(kind.__name__ for kind in types)
        raise ResultsError(f"{key!r} must be {names}, not {type_name(row[key])}")
    return row[key]


def type_name(value: Any) -> str:
    """The type of a value, for messages."""
    return type(value).__name__


def plain(value: Any) -> Any:
    """`value` in JSON's types. Bytes become text, or base64 where they are no text."""
    if isinstance(value, np.ndarray):
        return _plain_array(value)
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, Mapping):
        return {str(key): plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    if isinstance(value, bytes):
        return _plain_bytes(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return str(value)


def _plain_array(array: np.ndarray) -> Any:
    if array.dtype.kind != "f":
        return array.tolist() if array.dtype.kind in "biuU" else plain(array.tolist())
    if array.ndim == 0:
        number = float(str(array[()]))  # as below, but faster for one
        return number if math.isfinite(number) else None
    if array.dtype.itemsize < 8:
        # The shortest decimals of a float32 give it back exactly, at half the length.
        array = array.astype("U32").astype(np.float64)
    if np.isfinite(array).all():
        return array.tolist()
    return np.where(np.isfinite(array), array.astype(object), None).tolist()


def _plain_bytes(value: bytes) -> Any:
    media = next((media for magic, media in _MAGIC if value.startswith(magic)), None)
    if media is None:
        if value[:4] == b"RIFF" and value[8:12] == b"WEBP":
            media = "image/webp"
        else:
            try:
                return value.decode("utf-8")
            except UnicodeDecodeError:
                media = "application/octet-stream"
    return {"base64": base64.b64encode(value).decode("ascii"), "media": media}


def decoded(texts: list[bytes]) -> list[str]:
    """UTF-8 as text; bytes that are none get escapes."""
    try:
        return [*map(bytes.decode, texts)]
    except UnicodeDecodeError:
        return [text.decode("utf-8", "backslashreplace") for text in texts]


def token_of(token: Any) -> str | int:
    """A token as text or an integer; bytes that are no UTF-8 get escapes."""
    if isinstance(token, bytes):
        return token.decode("utf-8", "backslashreplace")
    if isinstance(token, np.generic):
        token = token.item()
    if isinstance(token, bytes):
        return token.decode("utf-8", "backslashreplace")
    if isinstance(token, (str, int)):
        return token
    raise ResultsError(f"a token must be text or an integer, not {type_name(token)}")


def float_array(values: Any, name: str) -> np.ndarray:
    """Scores of the point `name` as an array of floats, in their own precision."""
    try:
        array = np.asarray(values)
        return array if array.dtype.kind == "f" else array.astype(np.float64)
    except (ValueError, TypeError) as error:
        raise ResultsError(f"point {name!r}: scores do not make an array: {error}") from error


def finite_or_none(value: Any) -> float | None:
    """A number as JSON has it: None for NaN and infinities."""
    if value is None:
        return None
    value = float(value)
    return value if math.isfinite(value) else None


def float_or_nan(value: Any) -> float:
    """A number as arrays have it: NaN for None."""
    return math.nan if value is None else float(value)
