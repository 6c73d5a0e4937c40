"""The restoring part of a served graph: the kept variables, from the checkpoint, and no others."""

import dataclasses

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2, types_pb2, variable_pb2
from tensorflow.core.protobuf import saver_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import prune
from ig_tf.model.nodes import data, producer

READERS = ("RestoreV2", "Restore", "RestoreSlice")
_GIVEN = ("Const", "Placeholder", "PlaceholderV2", "PlaceholderWithDefault")
# Ops that set a variable: their data input 0 is the variable and 1 the value.
_ASSIGN = ("Assign", "AssignVariableOp")


@dataclasses.dataclass(frozen=True)
class Entry:
    """One tensor of a checkpoint: its name, which slice of it ("" for all) and its dtype enum."""

    name: str
    slice: str
    dtype: int


@dataclasses.dataclass(frozen=True)
class Restoration:
    """What restores a served graph.

    Attributes:
      nodes: NodeDefs to add to the graph.
      saver_def: SaverDef that names them.
      setters: {name of a variable or table: name of the node that sets it}.
      entries: the `Entry`s that are read.
    """

    nodes: tuple
    saver_def: object
    setters: dict
    entries: tuple


def restoration(graph_def, saver_def, variables, kept, checkpoint):
    """Plans what restores the kept variables (and what else a saver restores).

    Args:
      graph_def: the whole graph, its saver included.
      saver_def: the SaverDef of the graph; without one every variable is read by its name.
      variables: {name: VariableDef} of what the graph's collections say.
      kept: names of the nodes that are served.
      checkpoint: `Checkpoint`.

    Returns:
      A `Restoration`, or None where nothing is to be restored.

    Raises:
      ArtifactError: the checkpoint lacks something, or nothing of it is read.
    """
    nodes = prune.nodes_by_name(graph_def)
    if producer(saver_def.restore_op_name) in nodes:
        plan = _of_saver(nodes, producer(saver_def.restore_op_name), kept)
    else:
        plan = _of_variables(nodes, variables, kept, checkpoint)
    if not plan.setters:
        return None
    if not plan.entries:
        raise ArtifactError(
            f"the saver of the graph reads nothing of its checkpoint; it sets "
            f"{', '.join(sorted(plan.setters)[:3])} to other values. Was the metagraph changed?")
    checkpoint.refuse_missing(plan.entries)
    return _written(nodes, plan, kept)


@dataclasses.dataclass
class _Plan:
    """Entries in order; nodes that carry them to their variables; what sets what."""

    entries: list = dataclasses.field(default_factory=list)
    carriers: list = dataclasses.field(default_factory=list)
    setters: dict = dataclasses.field(default_factory=dict)

    def value(self, entry):
        """Stands for the tensor of an entry until the reading node has a name."""
        if entry not in self.entries:
            self.entries.append(entry)
        return f"{_READ}:{self.entries.index(entry)}"


_READ = "?read"


def _of_saver(nodes, restore_op, kept):
    """The part of an existing saver that sets what is kept."""
    plan = _Plan()
    behind = prune.ancestors(nodes, [restore_op], stop=kept)
    for name, node in nodes.items():
        if name in behind and name not in kept:
            targets = [producer(value) for value in data(node)]
            targets = [t for t in targets if _is_state(nodes[t]) and t in kept]
            if targets:
                plan.setters[targets[0]] = name
    needed = prune.ancestors(nodes, plan.setters.values(), control=False, stop={
        name for name in behind if name in kept or nodes[name].op in READERS})
    for name, node in nodes.items():
        if name in needed and name not in kept and node.op not in READERS:
            carrier = node_def_pb2.NodeDef()
            carrier.CopyFrom(node)
            carrier.input[:] = [_read_by_plan(plan, nodes, value)
                                for value in data(node)]
            plan.carriers.append(carrier)
    return plan


def _is_state(node):
    """A variable or a table: nothing goes into it, and it is no constant."""
    return not data(node) and node.op not in _GIVEN


def _read_by_plan(plan, nodes, value):
    reader = nodes[producer(value)]
    if reader.op not in READERS:
        return value
    index = int(value.partition(":")[2] or 0)
    names = _constant(nodes, reader.input[1])
    try:
        if reader.op == "RestoreV2":
            slices = _constant(nodes, reader.input[2])
            return plan.value(Entry(names[index], slices[index],
                                    reader.attr["dtypes"].list.type[index]))
        piece = _constant(nodes, reader.input[2])[0] if reader.op == "RestoreSlice" else ""
        return plan.value(Entry(names[0], piece, reader.attr["dt"].type))
    except IndexError:
        raise ArtifactError(f"the saver of the graph gives output {index} and names fewer "
                            f"tensors ({reader.op} {reader.name!r}).") from None


def _constant(nodes, value):
    """Texts of a constant."""
    node = prune.root(nodes, value)
    if node.op != "Const":
        raise ArtifactError(f"the saver of the graph computes the names that it reads "
                            f"({node.op} {node.name!r}); they must be constants.")
    try:
        array = tf.make_ndarray(node.attr["value"].tensor)
        return [text.decode() for text in array.ravel().tolist()]
    except (ValueError, TypeError, AttributeError) as error:
        raise ArtifactError(f"the names that the saver of the graph reads cannot be read "
                            f"({node.name!r}): {error}") from error


def _of_variables(nodes, variables, kept, checkpoint):
    """Without a saver: each kept variable is read by its name."""
    plan, taken = _Plan(), set(nodes)
    for name, node in nodes.items():
        if name not in kept or node.op not in prune.VARIABLES:
            continue
        definition = variables.get(name, variable_pb2.VariableDef())
        saved, piece = saved_as(name, definition)
        if not checkpoint.has(saved):
            continue
        value = plan.value(Entry(saved, piece, node.attr["dtype"].type))
        setter = node_def_pb2.NodeDef(name=prune.unused_name(f"restored/{name}", taken),
                                      input=[name, value])
        setter.op = "AssignVariableOp" if node.op == "VarHandleOp" else "Assign"
        setter.attr["dtype" if node.op == "VarHandleOp" else "T"].type = node.attr["dtype"].type
        plan.carriers.append(setter)
        plan.setters[name] = setter.name
    return plan


def saved_as(name, definition):
    """The name in a checkpoint and, for a part of a partitioned variable, which slice it is."""
    if not definition.HasField("save_slice_info_def"):
        return name, ""
    part = definition.save_slice_info_def
    where = ":".join(f"{start},{size}" for start, size in zip(part.var_offset, part.var_shape))
    return part.full_name, " ".join([*map(str, part.full_shape), where])


def _written(nodes, plan, kept):
    """The plan as nodes: one reads all entries, one waits for all that is set."""
    taken = set(kept) | {carrier.name for carrier in plan.carriers}
    scope = prune.unused_name("save", {name.partition("/")[0] for name in kept})

    def node(name, op, inputs=(), **attributes):
        made = node_def_pb2.NodeDef(name=prune.unused_name(f"{scope}/{name}", taken), op=op,
                                    input=inputs)
        for key, value in attributes.items():
            made.attr[key].CopyFrom(tf.compat.v1.AttrValue(**value))
        taken.add(made.name)
        return made

    def texts(name, values):
        tensor = tf.make_tensor_proto(values, tf.string)
        return node(name, "Const", value={"tensor": tensor}, dtype={"type": types_pb2.DT_STRING})

    default = texts("filename", "model")
    file = node("Const", "PlaceholderWithDefault", [default.name], shape={"shape": {}},
                dtype={"type": types_pb2.DT_STRING})
    names = texts("tensor_names", [entry.name for entry in plan.entries])
    slices = texts("shape_and_slices", [entry.slice for entry in plan.entries])
    dtypes = {"list": {"type": [entry.dtype for entry in plan.entries]}}
    read = node("RestoreV2", "RestoreV2", [file.name, names.name, slices.name], dtypes=dtypes)
    saving, saved = _saving(nodes, plan, node, texts, file)
    for carrier in plan.carriers:
        carrier.input[:] = [value.replace(_READ, read.name) for value in carrier.input]
    done = node("restore_all", "NoOp", [f"^{name}" for name in sorted(plan.setters.values())])
    saver = saver_pb2.SaverDef(filename_tensor_name=file.name + ":0", restore_op_name=done.name,
                               save_tensor_name=saved.name + ":0", max_to_keep=5,
                               keep_checkpoint_every_n_hours=10000, version=saver_pb2.SaverDef.V2)
    made = (default, file, names, slices, read, *plan.carriers, done, *saving)
    return Restoration(made, saver, dict(plan.setters), tuple(plan.entries))


def _saving(nodes, plan, node, texts, file):
    """The other half of a saver: the variables that are read are written again.

    Returns:
      (nodes, the one whose value is the file name once all is written); without a plain variable
      there is nothing to write, and the file name is given back.
    """
    entries, reads, values = [], [], []
    for variable, setter in plan.setters.items():
        entry = _entry_of(plan, setter)
        if entry is None or nodes[variable].op not in prune.VARIABLES:
            continue
        entries.append(entry)
        values.append(variable)
        if nodes[variable].op == "VarHandleOp":
            reads.append(node(f"read_{len(reads)}", "ReadVariableOp", [variable],
                              dtype={"type": entry.dtype}))
            values[-1] = reads[-1].name
    if not entries:
        return (), file
    names = texts("SaveV2/tensor_names", [entry.name for entry in entries])
    slices = texts("SaveV2/shape_and_slices", [entry.slice for entry in entries])
    save = node("SaveV2", "SaveV2", [file.name, names.name, slices.name, *values],
                dtypes={"list": {"type": [entry.dtype for entry in entries]}})
    saved = node("control_dependency", "Identity", [file.name, f"^{save.name}"],
                 T={"type": types_pb2.DT_STRING})
    return (names, slices, *reads, save, saved), saved


def _entry_of(plan, setter):
    """The entry that a variable is set to, or None where it is set in another way."""
    carriers = {carrier.name: carrier for carrier in plan.carriers}
    if carriers[setter].op not in _ASSIGN:
        return None
    value = carriers[setter].input[1]
    for _ in carriers:  # a broken graph may have a circle of them
        carrier = carriers.get(producer(value))
        if carrier is None or not carrier.input:
            break
        value = carrier.input[0]
    return plan.entries[int(value.partition(":")[2])] if producer(value) == _READ else None
