"""A graph, its signature and its weights, put together as the SavedModel that it will be.

What is not needed to serve (training ops, optimizer slots, summaries, queues that were replaced)
is left out. Nothing is run, and no weight is read.
"""

import dataclasses

from google.protobuf import any_pb2, message
from tensorflow.core.framework import variable_pb2
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf.errors import ArtifactError, SignatureError
from ig_tf.model import answering, feeding, feeds, initial, named, prune, restore, sound, strip
from ig_tf.model.model import COLLECTION, Model, choose_signature, usable_signatures
from ig_tf.model.nodes import data, producer

TAGS = ("serve",)
SIGNATURE = "serving_default"
MAIN_OP = "saved_model_main_op"
ASSETS = "saved_model_assets"
_VARIABLE_COLLECTIONS = ("variables", "trainable_variables", "local_variables", "model_variables",
                         "moving_average_variables")


@dataclasses.dataclass(frozen=True)
class Source:
    """A graph that was read, before anything is left out.

    Attributes:
      path: what was read, for people.
      meta_graph: MetaGraphDef; at least its graph.
      chosen: sentences that say what was recognised.
      checkpoint: the `Checkpoint` with the values of its variables, or None.
      folders: where vocabulary files may lie.
      without_weights: what to say where variables are served and there is no checkpoint.
      owner: what must live as long as the model.
    """

    path: str
    meta_graph: object
    chosen: tuple
    checkpoint: object = None
    folders: tuple = ("",)
    without_weights: str = "Give the checkpoint (its prefix, for example model.ckpt-1000)."
    owner: object = None


def assembled(source, asked):
    """The `Model` of a graph.

    Args:
      source: a `Source`, used up by this.
      asked: `Asked`; a signature is one of the graph's own.

    Raises:
      SignatureError: inputs or outputs are missing or not there.
      ArtifactError: a broken graph, variables or tables without content.
    """
    meta_graph = source.meta_graph
    sound.refuse_broken(source.path, meta_graph)
    strip.strip(meta_graph)
    made, signatures, name = _signatures(meta_graph, asked)
    served = _served(made.graph_def, signatures)
    pieces = _Pieces(made.graph_def, meta_graph, served)
    _refuse_without_weights(pieces, source)
    plan, begin = pieces.plans(source)
    proto = saved_model_pb2.SavedModel(saved_model_schema_version=1)
    written = _write(proto.meta_graphs.add(), pieces, plan, begin, signatures)
    files = dict(begin.assets)
    if plan is not None:
        files.update(source.checkpoint.files())
    notes = (*source.chosen, *made.notes, *begin.notes, pieces.left_out(written))
    return Model(source.path, proto, 0, name, tuple(note for note in notes if note),
                 feeds=made.feeds, fixes=made.fixes, files=files, owner=source.owner)


def _signatures(meta_graph, asked):
    """(`Fed`, {name: SignatureDef}, the name to explain)."""
    own = {name: meta_graph.signature_def[name] for name in usable_signatures(meta_graph)}
    if own and not asked.names_tensors:
        return _of_own(meta_graph, own, asked)
    if asked.signature is not None:
        raise SignatureError(f"no signature {asked.signature!r} beside named inputs or outputs; "
                             f"the graph has: {', '.join(sorted(own)) or 'none'}.")
    made = feeding.fed(meta_graph.graph_def, asked)
    info = named.signature_of(made.graph_def, made.inputs, made.outputs)
    return made, {SIGNATURE: info}, SIGNATURE


def _of_own(meta_graph, own, asked):
    """The same of a graph with signatures: the one to explain, made to answer where it waits, and
    of the others those that can be called and are what they were."""
    before = meta_graph.graph_def
    for key, info in own.items():
        for what, group in (("input", info.inputs), ("output", info.outputs)):
            named.refuse_missing(before, dict(group), f"{what} of signature {key!r}")
    name, note = choose_signature(meta_graph, asked.signature)
    outputs = {key: info.name or info for key, info in own[name].outputs.items()}
    made = feeding.fed(before, dataclasses.replace(
        asked, inputs=dict(own[name].inputs) or None, outputs=outputs))
    moved = answering.moved(before, made.graph_def) if made.notes else ()
    signatures, notes = {name: own[name]}, [note, *made.notes]
    if made.notes:
        signatures[name] = named.signature_of(made.graph_def, made.inputs, made.outputs)
        if set(made.inputs) == set(own[name].inputs):
            signatures[name].method_name = own[name].method_name
    for key in sorted(set(own) - {name}):
        reason = _why_not_served(before, own[key], moved)
        if reason:
            notes.append(f"signature {key} is not served: {reason}")
        else:
            signatures[key] = own[key]
    return dataclasses.replace(made, notes=tuple(notes)), signatures, name


def _why_not_served(graph_def, info, moved):
    """Why another signature is left out, or None. TensorFlow 2 loads no model with one that needs
    a placeholder and does not take it."""
    inputs, outputs = ([tensor for one in group.values() for tensor in named.tensors_of(one)]
                       for group in (info.inputs, info.outputs))
    waiting = feeds.still_needed(graph_def, outputs, inputs)
    if waiting:
        return f"it waits for {waiting[0]} (explain it, and that is fed)"
    unfed = feeding.unfed(feeding.Fed(graph_def, dict(info.inputs), dict(info.outputs)))
    if unfed:
        return f"it needs {unfed[0]} and does not take it"
    changed = [tensor for tensor in (*inputs, *outputs) if producer(tensor) in moved]
    return f"{changed[0]} is no longer what it was" if changed else None


def _served(graph_def, signatures):
    """Names of the nodes that the signatures need."""
    wanted = [producer(tensor) for signature in signatures.values()
              for info in (*signature.inputs.values(), *signature.outputs.values())
              for tensor in named.tensors_of(info)]
    return prune.ancestors(prune.nodes_by_name(graph_def), wanted)


class _Pieces:
    """A graph's served nodes, and what its collections say of its variables."""

    def __init__(self, graph_def, meta_graph, served):
        self.graph_def = graph_def
        self.meta_graph = meta_graph
        self.nodes = prune.nodes_by_name(graph_def)
        self.served = set(served)
        self.definitions = {}
        for key in _VARIABLE_COLLECTIONS:
            for definition in self._definitions_of(key):
                self.definitions[producer(definition.variable_name)] = definition
        self._fill_tables()
        for name, definition in self.definitions.items():
            read = producer(definition.snapshot_name)
            if name in self.served and read in self.nodes:
                self.served |= prune.ancestors(self.nodes, [read])

    def _fill_tables(self):
        """What fills a served table may need further tables and variables."""
        before = None
        while before != len(self.served):
            before = len(self.served)
            for names in initial.fillers(self.graph_def, self.served).values():
                self.served |= prune.ancestors(self.nodes, names)

    def variables(self):
        return [name for name, node in self.nodes.items()
                if name in self.served and node.op in prune.VARIABLES]

    def plans(self, source):
        """(`Restoration` or None, `Start`)."""
        plan = None
        if source.checkpoint is not None:
            plan = restore.restoration(self.graph_def, self.meta_graph.saver_def,
                                       self.definitions, self.served, source.checkpoint)
        restored = plan.setters if plan is not None else {}
        tables = [name for name, node in self.nodes.items() if name in self.served
                  and "HashTable" in node.op and not data(node)]
        unset = [name for name in self.variables() + tables if name not in restored]
        trainable = {producer(definition.variable_name) for definition in
                     self._definitions_of("trainable_variables")}
        begin = initial.start(self.graph_def, self.served, unset, self.definitions, trainable,
                              source.folders)
        self.served |= begin.needs
        return plan, begin

    def _definitions_of(self, key):
        if key not in self.meta_graph.collection_def:
            return []
        try:
            return [variable_pb2.VariableDef.FromString(raw)
                    for raw in self.meta_graph.collection_def[key].bytes_list.value]
        except message.DecodeError as error:
            raise ArtifactError(f"the metagraph is broken: its collection {key!r} holds what is no "
                                f"description of a variable ({error}).") from error

    def variable_collections(self, setters):
        """{collection: serialized VariableDefs} of the served variables.

        A variable's initializer is what restores it: the graph's own one is not served.
        """
        found = {}
        for key in _VARIABLE_COLLECTIONS:
            for definition in self._definitions_of(key):
                name = producer(definition.variable_name)
                if name not in self.served or producer(
                        definition.snapshot_name) not in self.served:
                    continue
                definition.initial_value_name = ""
                if name in setters:
                    definition.initializer_name = setters[name]
                found.setdefault(key, []).append(definition.SerializeToString(deterministic=True))
        return found

    def left_out(self, made):
        """A sentence that says what is not served."""
        kept = {node.name for node in made.graph_def.node}
        gone = [node for node in self.graph_def.node if node.name not in kept]
        if not gone:
            return ""
        slots = [node.name for node in gone if node.op in prune.VARIABLES]
        return (f"{len(gone)} of {len(self.graph_def.node)} nodes are not needed to serve and were "
                "left out" + (f", among them {len(slots)} variables (for example {slots[0]})"
                              if slots else ""))


def _refuse_without_weights(pieces, source):
    variables = pieces.variables()
    if variables and source.checkpoint is None:
        raise ArtifactError(
            f"the graph holds variables whose values are not in it ({', '.join(variables[:3])}"
            f"{', ...' if len(variables) > 3 else ''}): it was not frozen. "
            f"{source.without_weights}")


def _write(made, pieces, plan, begin, signatures):
    """Writes what is served into an empty MetaGraphDef, and gives it back."""
    original = pieces.meta_graph
    added = list(plan.nodes) if plan is not None else []
    taken = pieces.served | {node.name for node in added}
    if begin.runs:
        added.append(initial.main_op(begin, taken))
    made.meta_info_def.CopyFrom(original.meta_info_def)
    made.meta_info_def.tags[:] = TAGS
    prune.part(pieces.graph_def, pieces.served, added, made.graph_def)
    if plan is not None:
        made.saver_def.CopyFrom(plan.saver_def)
    for key, values in pieces.variable_collections(plan.setters if plan else {}).items():
        made.collection_def[key].bytes_list.value.extend(values)
    if begin.runs:
        made.collection_def[MAIN_OP].node_list.value.append(added[-1].name)
    for definition in begin.asset_defs:
        made.asset_file_def.append(definition)
        packed = any_pb2.Any()
        packed.Pack(definition)
        made.collection_def[ASSETS].any_list.value.append(packed)
    for key, collection in original.collection_def.items():
        if key.startswith(f"{COLLECTION}_"):  # what was recorded for attribution in training
            made.collection_def[key].CopyFrom(collection)
    for name, signature in signatures.items():
        made.signature_def[name].CopyFrom(signature)
    # What is added needs a library. An empty one says the same as none; later none could tell.
    made.graph_def.library.SetInParent()
    _keep_used_ops(made)
    return made


def _keep_used_ops(made):
    """The producer's list of ops: those that are there."""
    used = {node.op for node in made.graph_def.node}
    used |= {node.op for function in made.graph_def.library.function
             for node in function.node_def}
    listed = made.meta_info_def.stripped_op_list
    copies = [type(op).FromString(op.SerializeToString()) for op in listed.op if op.name in used]
    del listed.op[:]
    listed.op.extend(copies)
