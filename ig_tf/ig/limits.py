"""What a request may have at most: said in the graph, so that whoever serves it refuses the rest.

The assertions stand before everything else of the signature: a request that is too large costs
nothing but its own bytes.
"""

import dataclasses

import tensorflow as tf

from ig_tf.errors import SignatureError


@dataclasses.dataclass(frozen=True)
class Limits:
    """The largest request that is answered.

    Attributes:
      batch: examples, or None: any number.
      length: size of each other axis that the signature leaves open, or None.
    """

    batch: object = None
    length: object = None

    def __post_init__(self):
        for name in ("batch", "length"):
            value = getattr(self, name)
            if value is not None and (type(value) is not int or value < 1):
                raise SignatureError(f"a limit is a whole number from 1 on; found {name} "
                                     f"{value!r}.")

    def described(self):
        """As in the plan and the metadata (JSON); empty where nothing is limited."""
        return {name: value for name, value in dataclasses.asdict(self).items()
                if value is not None}


def bounded(build, limits):
    """The same computation, behind the assertions.

    Args:
      build: function(recipe, given) -> {key: tensor}.
      limits: `Limits`.
    """
    if not limits.described():
        return build

    def checked(recipe, given):
        names = {tensor.name: key for key, tensor in recipe.work.inputs.items()}
        parts = {key: place for keys in recipe.work.sparse.values()
                 for place, key in enumerate(keys)}  # indices, values, dense shape
        asserts = [one for name, key in names.items() if name in given and parts.get(key, 2) == 2
                   for one in _asserts(key, given[name], recipe.layout.axes.get(key, 0), limits,
                                       key in parts)]
        with tf.control_dependencies(asserts):
            after = {name: tf.identity(value) if name in names else value
                     for name, value in given.items()}
        return build(recipe, after)

    return checked


def _asserts(key, tensor, axis, limits, is_shape):
    """Assertions about one input; `is_shape`: it is the dense shape of a sparse one."""
    if is_shape:
        sizes, static = tf.cast(tensor, tf.int64), [None] * (tensor.shape[0] or 0)
    else:
        sizes, static = tf.shape(tensor, tf.int64), tensor.shape.as_list() if (
            tensor.shape.rank is not None) else []
    found = []
    for place, size in enumerate(static):
        most = limits.batch if place == axis else limits.length
        if size is None and most is not None:
            what = "examples" if place == axis else f"along axis {place}"
            found.append(tf.debugging.Assert(sizes[place] <= most, [
                f"{key}: at most {most} {what} are answered in one request; found",
                sizes[place]], name="limit"))
    return found
