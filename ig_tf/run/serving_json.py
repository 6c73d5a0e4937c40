"""Requests and answers as the REST interface of TensorFlow Serving writes them.

Strings that are no UTF-8 are sent as {"b64": ...}; what comes back may hold such bytes as they are.
NaN, Infinity and -Infinity are bare words in both directions.
"""

import base64
import json

import numpy as np

from ig_tf.errors import RecordError, ServerError

_INTEGERS = ("int8", "uint8", "int16", "int32", "int64", "uint32", "uint64")
_TYPES = ("float32", "float64", "bool", *_INTEGERS)  # that Serving reads out of JSON, and strings


def columns(arrays, signature):
    """A request in column format: each input once, with all examples. As bytes.

    Args:
      arrays: {input: numpy array [examples, ...]}; strings as arrays of bytes objects.
      signature: which signature shall answer.

    Raises:
      RecordError: JSON cannot say it.
    """
    return _body({"signature_name": signature,
                  "inputs": {key: _value(key, array) for key, array in arrays.items()}})


def rows(arrays, signature):
    """The same in row format: each example once, with all inputs.

    Raises:
      RecordError: JSON cannot say it, or an input does not have as many examples as the others.
    """
    counts = {key: len(array) if np.ndim(array) else None for key, array in arrays.items()}
    if len(set(counts.values())) != 1 or None in counts.values():
        raise RecordError("row format takes inputs of equally many examples, one axis first; found "
                          f"{counts}. Use column format.")
    values = {key: _value(key, array) for key, array in arrays.items()}
    instances = [dict(zip(values, one)) for one in zip(*values.values())]
    return _body({"signature_name": signature, "instances": instances})


def answer(body, outputs):
    """{output: numpy array} of an answer in either format.

    Args:
      body: bytes.
      outputs: {output: name of its type} of the signature.

    Raises:
      ServerError: it is none.
    """
    try:
        # Bytes that are no UTF-8 go through as they are: `_array` makes bytes of text again.
        found = json.loads(body.decode("utf-8", "surrogateescape"))
        if "outputs" in found:
            found = _named(found["outputs"], outputs)
        elif "predictions" in found:
            each = [_named(one, outputs) for one in found["predictions"]]
            found = {key: [one[key] for one in each] for key in outputs}
        else:
            raise ServerError(f"the answer has neither outputs nor predictions: {_short(body)}")
        return {key: _array(found[key], dtype) for key, dtype in outputs.items()}
    except (ValueError, TypeError, KeyError) as error:
        raise ServerError(f"the answer is not that of this model ({type(error).__name__}: {error}):"
                          f" {_short(body)}") from error


def _named(value, outputs):
    """A signature with one output answers without its name."""
    return {next(iter(outputs)): value} if len(outputs) == 1 else value


def _body(value):
    return json.dumps(value, ensure_ascii=True).encode()


def _value(key, array):
    array = np.asarray(array)
    if array.ndim and not array.shape[0]:
        raise RecordError(f"input {key!r}: a request over REST needs one example at least.")
    if array.dtype == object:
        return _texts(array.tolist())
    if array.dtype.name not in _TYPES:
        raise RecordError(f"input {key!r} is {array.dtype.name}, which TensorFlow Serving does not "
                          "read from JSON: use gRPC.")
    return array.tolist()


def _texts(value):
    if isinstance(value, list):
        return [_texts(one) for one in value]
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return {"b64": base64.b64encode(value).decode()}


def _array(value, dtype):
    if dtype != "string":
        return np.array(value, dtype)
    array = np.array(_bytes(value), object)
    return array


def _bytes(value):
    if isinstance(value, list):
        return [_bytes(one) for one in value]
    if isinstance(value, dict):
        return base64.b64decode(value["b64"])
    return value.encode("utf-8", "surrogateescape")


def _short(body):
    text = body[:300].decode("utf-8", "replace")
    return text if len(body) <= 300 else text + "..."
