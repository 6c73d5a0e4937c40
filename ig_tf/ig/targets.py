"""The explained quantity: numbers of each example, out of the signature's outputs."""

import dataclasses

from tensorflow import TensorShape

from ig_tf.errors import TargetError
from ig_tf.graph.work import source_name
from ig_tf.ig import index as indices
from ig_tf.ig.index import ALL, EACH, REDUCTIONS, TOP
from ig_tf.ig.layout import shape_first

# Names that say it is a probability, then what else a head may be called; used only for ties.
_WORDS = ("prob", "score", "softmax", "logistic", "predict")
_PROBABILITY_OPS = ("Softmax", "Sigmoid")
_MOVES = ("Identity", "Reshape", "Squeeze", "EnsureShape")


@dataclasses.dataclass(frozen=True)
class Target:
    """What is explained.

    Attributes:
      output: key of the signature's outputs, or the node of a tensor inside.
      index: None (one number per example), "top", "top5", "all", a tuple of entries behind the
        batch axis (see `index`), or a `Difference` of two.
      tensor: name of the output in the working graph.
      source: the same as the model's owner knows it.
      chosen: a sentence if ig_tf made the choice, else None.
      axis: of the examples in that tensor.
      folds: None, or how an example's several rows lie along it (`batch_axes.BLOCKS`, `STEPS`);
        each of them is explained.
      count: how many scores of an example are explained from one path; None: one, and the answer
        has no axis for several.
      function: name of the Python function that makes the output of others, or None.
    """

    output: str
    index: object
    tensor: str
    source: str
    chosen: object = None
    axis: int = 0
    folds: object = None
    count: object = None
    function: object = None

    @property
    def each(self):
        """The axis behind the examples' of which each place is explained, or None."""
        return indices.each_axis(self.index)

    @property
    def at_each(self):
        """The index at one place of that axis."""
        return indices.at_each(self.index)

    @property
    def several(self):
        """How an example comes to have several explained numbers, [batch, k]; None: it has one."""
        if self.folds:
            return self.folds
        if self.each is not None:
            return f"one per place along axis {self.each + 1} of the output"
        return f"the {self.count} scores of `{indices.of_classes(self.index)}`" * bool(
            self.count) or None

    def text(self):
        """OUTPUT, OUTPUT:INDEX, OUTPUT:A-B or OUTPUT:top, as --target takes it."""
        return self.output if self.index is None else f"{self.output}:{self.index_text()}"

    def index_text(self):
        """The part behind the colon."""
        return indices.text_of(self.index)

    def described(self, work):
        """As in the plan and the metadata (JSON)."""
        index = list(self.index) if isinstance(self.index, tuple) else self.index
        index = index.text() if isinstance(index, indices.Difference) else index
        meanings = [REDUCTIONS[word].meaning for word in indices.words(self.index)]
        behind = scores_behind(work, self)
        return {"output": self.output, "index": index, "tensor": self.source, "text": self.text(),
                "rows": self.several or "one per example",
                **({"each": self.each} if self.each is not None else {}),
                **({"count": self.count} if self.count else {}),
                **({"meanings": meanings} if meanings else {}),
                **({"function": f"{self.function}, given in Python"} if self.function else {}),
                **({"scores_behind": behind} if behind else {})}


def resolve(work, text=None):
    """The target that a user means.

    Args:
      work: the `Work`.
      text: OUTPUT, OUTPUT:INDEX (several axes: OUTPUT:2,5; `max`, `sum`, `mean` of an axis;
        `each` place of it), OUTPUT:A-B (the difference of two such), OUTPUT:top, OUTPUT:top5,
        OUTPUT:all; None chooses. Instead of an output, a tensor inside the model may be named by
        its node.

    Raises:
      TargetError: no such output, not floating-point, an index out of range, or not one number
        per example.
    """
    if text is None:
        return _default(work)
    output, index = _parsed(work, text)
    tensor = work.outputs[output] if output in work.outputs else _inner(work, output)
    if not tensor.dtype.is_floating:
        raise TargetError(
            f"output {output!r} is {tensor.dtype.name}: a target needs a derivative. "
            f"Floating-point outputs: {_floating(work) or 'none'}.")
    for one in _each_of(index):
        _check_some_axis(work, output, tensor.shape, one)
    return _target(output, index, tensor, None)


def along(work, target, axis, folds=None):
    """The same target of a tensor whose examples lie along `axis`; the index is of the others.

    Raises:
      TargetError: the index does not fit these.
    """
    shape, index = work.tensor(target.tensor).shape, target.index
    shape = TensorShape(shape_first(shape, axis)) if axis else shape
    for one in _each_of(index):
        _check_rank(work, target.output, shape, one)
    if folds and target.each is not None:
        raise TargetError(f"output {target.output!r} has several rows per example, each of them "
                          f"explained, and `{EACH}` asks for another such axis. Choose one "
                          f"number instead of `{EACH}`.")
    rest = None if shape.rank is None else [dim for place, dim in enumerate(shape.as_list()[1:])
                                            if place != target.each]
    count = indices.count_of(target.at_each, rest)
    if count and (folds or target.each is not None):
        raise TargetError(f"target {target.text()!r}: several scores at each of several places "
                          f"are too many at once. Take `{TOP}`, or one number.")
    return dataclasses.replace(target, axis=axis, folds=folds, count=count)


def _each_of(index):
    return (index.first, index.second) if isinstance(index, indices.Difference) else (index,)


def _parsed(work, text):
    output, index = text, None
    if text not in work.outputs:  # a signature output may itself have a colon in its name
        output, _, index = text.rpartition(":")
        if not output:
            output, index = text, None
    if output not in work.outputs and not work.matching(output):
        raise TargetError(f"no output {output!r} in the signature; it has: {_listed(work)}.")
    return output, None if index is None else indices.parse(index, text)


def _inner(work, name):
    """A tensor inside the model, for example the logits behind a softmax."""
    matching = work.matching(name)
    if len(matching) > 1:
        listed = ", ".join(source_name(tensor.name) for tensor in matching[:6])
        raise TargetError(f"{name!r} is not one tensor; it could be: {listed}.")
    return matching[0]


def before_squashing(work, target):
    """The scores that a softmax or sigmoid made the target's probabilities of.

    Returns:
      NODE:INDEX as --target takes it, or None where the target is no probability.
    """
    op = _squashed_by(work.tensor(target.tensor))
    if target.function:  # what it is made of has no name that a user could ask for
        return None
    if op.type not in _PROBABILITY_OPS:
        return None
    node = source_name(op.inputs[0].name).removesuffix(":0")
    suffix = target.index_text() if target.index is not None else None
    return f"{node}:{suffix}" if suffix else node


def scores_behind(work, target):
    """`before_squashing` where that can be asked for with --target, else None."""
    text = before_squashing(work, target)
    try:
        return text and resolve(work, text).text()
    except TargetError:  # reshaped on the way, or a name that is not unique
        return None


def _check_some_axis(work, output, shape, index):
    """Examples may lie along axis 1 where there are more; `along` checks it again."""
    try:
        _check_rank(work, output, shape, index)
    except TargetError as error:
        if (shape.rank or 0) < 3 or not isinstance(index, tuple):
            raise
        try:
            _check_rank(work, output, TensorShape(shape_first(shape, 1)), index)
        except TargetError:
            raise error from None


def _check_rank(work, output, shape, index):
    if shape.rank is None:
        if indices.words(index) or indices.each_axis(index) is not None:
            raise TargetError(f"output {output!r} has an unknown number of axes: neither `{EACH}` "
                              f"nor {', '.join(REDUCTIONS)} can be taken of them.")
        return
    if shape.rank == 0:
        raise TargetError(f"output {output!r} is a scalar for the whole batch, shape []; a target "
                          "is one number per example, [batch].")
    rest = shape.as_list()[1:]
    if index is None:
        if any(dim != 1 for dim in rest):
            raise TargetError(f"output {output!r} has shape {_shape(shape)}, not one number per "
                              f"example. {_suggestion(output, rest)}")
    elif isinstance(index, str) and len(rest) != 1:
        raise TargetError(f"`{index}` needs scores [batch, classes]; output {output!r} has shape "
                          f"{_shape(shape)}. {_suggestion(output, rest)}")
    elif indices.reduces_all(index) and rest:
        return
    else:
        _check_entries(output, shape, (index,) if isinstance(index, str) else index)


def _check_entries(output, shape, index):
    rest = shape.as_list()[1:]
    if len(index) != len(rest):
        what = "numbers" if all(isinstance(entry, int) for entry in index) else "entries"
        raise TargetError(f"index {indices.text_of(index)} has {len(index)} {what}; output "
                          f"{output!r} of shape {_shape(shape)} needs {len(rest)}. "
                          f"{_suggestion(output, rest)}")
    for entry, dim in zip(index, rest):
        wanted = entry + 1 if isinstance(entry, int) else 1
        if indices.is_classes(entry) and entry not in (TOP, ALL):
            wanted = int(entry.removeprefix(TOP))
        if dim is not None and wanted > dim:
            raise TargetError(f"index {entry} is out of range: output {output!r} has shape "
                              f"{_shape(shape)}, so at most {dim - isinstance(entry, int)}.")


def _suggestion(output, rest):
    """The one flag that would work."""
    if not rest:
        return f"Try --target={output}."
    if len(rest) == 1:
        return f"Try --target={output}:top, or --target={output}:0 for one of {rest[0] or 'them'}."
    middle = ",".join(str((dim or 1) // 2) for dim in rest)
    ranges = " x ".join(f"0..{dim - 1}" if dim else "?" for dim in rest)
    return (f"Name one element, for example --target={output}:{middle} "
            f"(the indices run over {ranges}).")


def _default(work):
    """The single suitable output, probabilities before logits."""
    suitable = [name for name, tensor in work.outputs.items()
                if tensor.dtype.is_floating and tensor.shape.rank in (1, 2)]
    if not suitable:
        floating = [name for name, tensor in work.outputs.items() if tensor.dtype.is_floating]
        if not floating:
            raise TargetError(f"no output has a derivative; the signature has: {_listed(work)}. "
                              "Choose another signature with --signature.")
        raise TargetError(
            f"no output is one number or one score per class for each example: {_listed(work)}. "
            + next((_suggestion(name, work.outputs[name].shape.as_list()[1:]) for name in floating
                    if work.outputs[name].shape.rank), "Name a tensor inside the model."))
    ranked = sorted(suitable, key=lambda name: _rank(name, work.outputs[name]))
    output = ranked[0]
    tensor = work.outputs[output]
    index = TOP if tensor.shape.rank == 2 and tensor.shape[1] != 1 else None
    others = ", ".join(ranked[1:])
    sentence = f"target {output}{':top' if index else ''}" + (f" (also possible: {others})"
                                                              if others else "")
    if index and _squashed_by(tensor).type == "Sigmoid":
        known = tensor.shape[1] is not None and tensor.shape[1] <= indices.MOST
        sentence += (". Its numbers are probabilities of their own (a sigmoid each): that is the "
                     f"likeliest label alone; --target={output}:{ALL if known else TOP + '2'} "
                     f"explains {'every label' if known else 'two'}, --target={output}:0 one")
    return _target(output, index, tensor, sentence)


def _squashed_by(tensor):
    """The op behind what only moves numbers."""
    op, steps = tensor.op, 0
    while op.type in _MOVES and steps < 20:
        op, steps = op.inputs[0].op, steps + 1
    return op


def _rank(name, tensor):
    op = _squashed_by(tensor)
    kind = _PROBABILITY_OPS.index(op.type) if op.type in _PROBABILITY_OPS else 2
    words = [index for index, word in enumerate(_WORDS) if word in name.lower()]
    return kind, min(words, default=len(_WORDS)), name


def _target(output, index, tensor, chosen):
    return Target(output, index, tensor.name, source_name(tensor.name), chosen)


def _floating(work):
    return ", ".join(f"{name} {_shape(t.shape)}" for name, t in work.outputs.items()
                     if t.dtype.is_floating)


def _listed(work):
    return ", ".join(f"{name} {tensor.dtype.name} {_shape(tensor.shape)}"
                     for name, tensor in work.outputs.items())


def _shape(shape):
    if shape.rank is None:
        return "of unknown rank"
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in shape.as_list()) + "]"
