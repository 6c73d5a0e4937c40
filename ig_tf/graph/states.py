"""What is known of a tensor's rows: the states of the analysis in `rows.py`.

The question behind all of them: may the examples of a batch be repeated, reordered and split, and
does each example's result stay what it was?
"""

import dataclasses

# Entries of a `Size`: an int is that int for every batch.
BATCH = "batch"  # the number of examples
FOLDED = "batch * k"  # a multiple of it
UNKNOWN = None  # some number that does not depend on the number of examples


@dataclasses.dataclass(frozen=True)
class Shared:
    """The same for every example and every batch size: weights, constants, scalar inputs."""


@dataclasses.dataclass(frozen=True)
class Rows:
    """Slices along `axis` belong to one example each, in the order of the examples.

    `unit`: the axis has one slice per example; otherwise k consecutive ones (a folded batch).
    """

    axis: int = 0
    unit: bool = True


@dataclasses.dataclass(frozen=True)
class Cycle:
    """Slice r along axis 0 belongs to example r modulo their number.

    [time, batch, ...] with its first axes merged: the examples once for each step.
    """


@dataclasses.dataclass(frozen=True)
class SpaceBlocks:
    """Between SpaceToBatchND and BatchToSpaceND: each slice along axis 0 is a part of one example.

    `block_shape`: of both ops.
    """

    block_shape: tuple


@dataclasses.dataclass(frozen=True)
class Size:
    """Integers computed from shapes alone, one entry per element of a scalar or vector."""

    entries: tuple

    @property
    def depends_on_batch(self):
        return BATCH in self.entries or FOLDED in self.entries


@dataclasses.dataclass(frozen=True)
class Index:
    """For each row of axis 0, the number of its example.

    `unit`: tf.range of the batch, one row per example; else each number is repeated.
    """

    unit: bool = True


@dataclasses.dataclass(frozen=True)
class IndexPair:
    """[2, values]: example number and another number, before they become sparse indices."""


@dataclasses.dataclass(frozen=True)
class CountOf:
    """The shape of something with one row per value, or per distinct id (`rows`)."""

    rows: object


@dataclasses.dataclass(frozen=True)
class SparseIndices:
    """Indices [values, rank] of a sparse tensor whose axis 0 is the batch.

    `filled`: each example has at least one value (after SparseFillEmptyRows).
    `one_each`: each example has exactly one, in order.
    `unit`: column 0 is the example; otherwise k consecutive numbers stand for one example.
    """

    filled: bool = False
    one_each: bool = False
    unit: bool = True


@dataclasses.dataclass(frozen=True)
class SparseShape:
    """The dense_shape of such a sparse tensor; `rank` entries, the first is the batch."""

    rank: int


@dataclasses.dataclass(frozen=True)
class Values:
    """One row per value of a sparse tensor, in its order."""


@dataclasses.dataclass(frozen=True)
class Positions:
    """Which values of a sparse tensor are kept, in their order (sparse_retain)."""


@dataclasses.dataclass(frozen=True)
class Segments:
    """For each value of a sparse tensor, the number of its example (`unit`, as SparseIndices)."""

    filled: bool = False
    unit: bool = True


@dataclasses.dataclass(frozen=True)
class Distinct:
    """Rows shared by the whole batch: `Unique` ids, or what was gathered for them."""


@dataclasses.dataclass(frozen=True)
class ListOf:
    """A tensor list; every element has this state (None: nothing was stored yet)."""

    element: object


@dataclasses.dataclass(frozen=True)
class Elements:
    """A tensor list with one element for each example, in their order.

    `filled`: each element was made of its example; else all are as the list was made (zeros).
    """

    filled: bool


@dataclasses.dataclass(frozen=True)
class Turn:
    """In a loop with one turn for each example: the number of the turn, from 0."""


@dataclasses.dataclass(frozen=True)
class OfTurn:
    """In such a loop: computed from the turn's own example alone, whatever its axes."""


@dataclasses.dataclass(frozen=True)
class Mixed:
    """Nothing is proved. `reason` names the op that could not be followed."""

    reason: str


SHARED = Shared()
ROWS = Rows()


def is_shared(state):
    """Does not depend on which examples, or how many, are in the batch."""
    return isinstance(state, Shared) or (isinstance(state, Size) and not state.depends_on_batch)


def join(first, second):
    """The state of a value that is one or the other (branches, loop turns)."""
    if first == second or second is None:
        return first
    if first is None:
        return second
    if isinstance(first, ListOf) and isinstance(second, ListOf):
        return ListOf(join(first.element, second.element))
    if isinstance(first, Rows) and isinstance(second, Rows) and first.axis == second.axis:
        return Rows(first.axis, False)
    if is_shared(first) and is_shared(second):
        return SHARED
    for state in (first, second):
        if isinstance(state, Mixed):
            return state
    return Mixed("branches or loop turns that disagree")
