"""For which machine and which TensorFlow the attribution subgraph is made: one object."""

import dataclasses
import json
import os

from ig_tf.errors import RuntimeProfileError

AUTO = "auto"
FULL = "float32"
DTYPES = (FULL, "bfloat16", "float16")
VERSIONS = (None, "1.15")
MAX_SHAPES = 64  # shapes of one served model's compiled function


@dataclasses.dataclass(frozen=True)
class RuntimeProfile:
    """What depends on the machine that answers, and not on the model or the method.

    Attributes:
      name: a key of `PROFILES`, or the file that it was read from.
      memory_budget: bytes of activations that the rows of one chunk may hold.
      xla: True compiles the path and its gradient with XLA, and refuses what cannot be; "auto"
        compiles what can be, and says why not; False never does.
      batch_buckets: examples of a compiled chunk: each chunk is filled up to one of these, so that
        no more shapes are compiled than these. Needed with XLA.
      lengths: sizes of dimensions that vary with the request (words, pictures) that are compiled;
        requests of other sizes run as they are. Without any, such a path is not compiled.
      compute_dtype: "float32": the types of the model are kept; "bfloat16" or "float16": matrix
        products and convolutions of float32 compute in it, sums stay in float32.
      tensorflow: the oldest TensorFlow that must read what is added: "1.15", or None for 2.
    """

    name: str = "cpu"
    memory_budget: int = 128 << 20
    xla: object = False
    batch_buckets: tuple = ()
    lengths: tuple = ()
    compute_dtype: str = FULL
    tensorflow: object = None

    def __post_init__(self):
        for field, (check, wanted) in _FIELDS.items():
            if not check(getattr(self, field)):
                raise RuntimeProfileError(
                    f"runtime profile {self.name!r}: {field} should be {wanted}; found "
                    f"{getattr(self, field)!r}.")
        if self.xla and not self.batch_buckets:
            raise RuntimeProfileError(
                f"runtime profile {self.name!r}: XLA compiles one function per shape; "
                "batch_buckets must say which, for example [1, 4, 16, 64].")
        if self.tensorflow and self.compute_dtype != FULL:
            raise RuntimeProfileError(
                f"runtime profile {self.name!r}: compute_dtype {self.compute_dtype!r} is for "
                f"TensorFlow 2; leave it off, or tensorflow: {self.tensorflow!r}.")
        if self.xla and self.tensorflow:
            raise RuntimeProfileError(
                f"runtime profile {self.name!r}: xla is for TensorFlow 2; leave it off, or "
                f"tensorflow: {self.tensorflow!r}.")

    def described(self):
        """As JSON-able data: what a FILE.json with the same fields would hold."""
        return {field: list(value) if isinstance(value, tuple) else value
                for field, value in dataclasses.asdict(self).items()}


def _whole(value, least=1):
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


def _rising(value):
    return (isinstance(value, tuple) and all(_whole(one) for one in value)
            and list(value) == sorted(set(value)) and len(value) <= MAX_SHAPES)


_RISING = f"a rising list of at most {MAX_SHAPES} positive whole numbers"
# {field of FILE.json: (whether a value will do, what is wanted)}
_FIELDS = {
    "memory_budget": (_whole, "a positive whole number of bytes"),
    "xla": (lambda value: value is True or value is False or value == AUTO,
            "true, false or \"auto\""),
    "batch_buckets": (_rising, _RISING),
    "lengths": (_rising, _RISING),
    "compute_dtype": (lambda value: value in DTYPES, "\"float32\", \"bfloat16\" or \"float16\""),
    "tensorflow": (lambda value: value in VERSIONS, "null or \"1.15\""),
}

PROFILES = {profile.name: profile for profile in (
    RuntimeProfile("cpu"),
    RuntimeProfile("accelerator", memory_budget=1 << 30, xla=AUTO,
                   batch_buckets=(1, 4, 16, 64, 256), lengths=(16, 32, 64, 128, 256, 512)),
    RuntimeProfile("tf1.15", tensorflow="1.15"),
)}
DEFAULT = PROFILES["cpu"]


def resolve(value):
    """The profile that a name, a FILE.json or an object means.

    Args:
      value: a `RuntimeProfile`, a key of `PROFILES`, or the path of a JSON file with its fields
        (those left out are as in "cpu").

    Raises:
      RuntimeProfileError: no such profile or file, unknown fields, wrong types.
    """
    if isinstance(value, RuntimeProfile):
        return value
    if value in PROFILES:
        return PROFILES[value]
    path = os.fspath(value)
    if not os.path.isfile(path):
        raise RuntimeProfileError(
            f"runtime profile {path!r} is none of {', '.join(PROFILES)}, and no such file exists. "
            f"{_fields()}")
    try:
        with open(path, encoding="utf-8") as file:
            fields = json.load(file)
    except (OSError, ValueError) as error:
        raise RuntimeProfileError(f"{path!r} is no JSON: {error}. {_fields()}") from error
    return _from_fields(path, fields)


def _from_fields(path, fields):
    if not isinstance(fields, dict):
        raise RuntimeProfileError(f"{path!r} should hold one JSON object. {_fields()}")
    unknown = sorted(set(fields) - set(_FIELDS) - {"name"})
    if unknown:
        raise RuntimeProfileError(f"{path!r} has unknown fields: {', '.join(unknown)}. {_fields()}")
    given = {field: tuple(value) if isinstance(value, list) else value
             for field, value in fields.items()}
    return RuntimeProfile(**{"name": os.path.basename(path), **given})


def _fields():
    """All that a file may say, with the values of the default profile."""
    described = DEFAULT.described()
    listed = "; ".join(f"{field}: {wanted.partition(': ')[0]} ({json.dumps(described[field])})"
                       for field, (_, wanted) in _FIELDS.items())
    return f"A FILE.json has one object with any of these fields (default): {listed}."
