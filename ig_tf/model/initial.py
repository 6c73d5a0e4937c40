"""What must run once before a graph serves: it fills tables and sets variables without weights."""

import dataclasses
import os

import tensorflow as tf
from tensorflow.core.framework import node_def_pb2
from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import prune
from ig_tf.model.restore import READERS
from ig_tf.model.nodes import producer

_TABLES = ("HashTable", "HashTableV2", "AnonymousHashTable")
_FILLERS = ("InitializeTable", "InitializeTableV2", "InitializeTableFromTextFile",
            "InitializeTableFromTextFileV2", "InitializeTableFromDataset", "LookupTableImport",
            "LookupTableImportV2")
_FROM_FILE = ("InitializeTableFromTextFile", "InitializeTableFromTextFileV2")
_SETTERS = ("Assign", "AssignVariableOp")
_RANDOM = ("Random", "Truncated", "Stateless", "StatefulStandardNormal", "StatefulUniform",
           "Multinomial", "ParameterizedTruncated")


@dataclasses.dataclass(frozen=True)
class Start:
    """What runs once, after the weights are restored.

    Attributes:
      runs: names of the nodes that fill and set.
      needs: names of all nodes that these need.
      assets: {place in the SavedModel: file}.
      asset_defs: AssetFileDefs.
      notes: sentences.
    """

    runs: tuple
    needs: frozenset
    assets: dict
    asset_defs: tuple
    notes: tuple


def fillers(graph_def, kept):
    """{table: names of the nodes that fill it} for the tables among the kept nodes.

    What fills a table out of a checkpoint is part of a saver, and no initializer.
    """
    nodes = prune.nodes_by_name(graph_def)
    found = {}
    for node in graph_def.node:
        if node.op in _FILLERS:
            table = prune.root(nodes, node.input[0]).name
            if table in kept and not any(
                    nodes[name].op in READERS for name in prune.ancestors(nodes, [node.name])):
                found.setdefault(table, []).append(node.name)
    return found


def start(graph_def, kept, unset, variables, trainable, folders):
    """Plans what runs once.

    Args:
      graph_def: the whole graph.
      kept: names of the nodes that are served.
      unset: names of variables and tables that no checkpoint sets.
      variables: {name: VariableDef} of the collections.
      trainable: names of trainable variables.
      folders: where to look for vocabulary files that are not where the graph says.

    Raises:
      ArtifactError: a table or variable whose content is nowhere; a vocabulary file that is gone.
    """
    nodes = prune.nodes_by_name(graph_def)
    filling = fillers(graph_def, kept)
    runs, notes = [], []
    for name in unset:
        if nodes[name].op in prune.VARIABLES:
            setter = _setter(nodes, name, variables, name in trainable)
            runs.append(setter)
            notes.append(f"variable {name} is in no checkpoint: its initializer {setter} sets it")
        elif name in filling:
            runs.extend(filling[name])
        elif nodes[name].op in _TABLES:
            raise ArtifactError(
                f"nothing in the graph fills table {name!r} ({nodes[name].op}): its vocabulary is "
                "not part of this file. Give a SavedModel, or a graph whose table initializer was "
                "kept.")
    needs = frozenset(prune.ancestors(nodes, runs))
    assets, definitions = _assets(nodes, [nodes[name] for name in runs], folders)
    return Start(tuple(sorted(runs)), needs, assets, definitions, tuple(notes))


def main_op(plan, taken):
    """The NodeDef that runs all of it."""
    return node_def_pb2.NodeDef(name=prune.unused_name("init_served", taken), op="NoOp",
                                input=[f"^{name}" for name in plan.runs])


def _setter(nodes, name, variables, is_trainable):
    """The initializer of a variable, if it always gives the same value."""
    said = producer(variables[name].initializer_name) if name in variables else ""
    candidates = [said] if said in nodes else [
        node.name for node in nodes.values()
        if node.op in _SETTERS and producer(node.input[0]) == name
        and node.name.endswith("/Assign")]
    advice = ("Give the checkpoint that has it, or, for a counter of an input queue, name the "
              "queue's output with --inputs.")
    if is_trainable or len(candidates) != 1:
        raise ArtifactError(f"variable {name!r} is served, and the checkpoint does not have it. "
                            f"{advice}")
    for other in prune.ancestors(nodes, candidates):
        op = nodes[other].op
        if op.startswith(_RANDOM) or op in prune.PLACEHOLDERS or (
                op in prune.VARIABLES and other != name):
            raise ArtifactError(f"variable {name!r} is served, the checkpoint does not have it, "
                                f"and its initializer depends on {op} {other!r}. {advice}")
    return candidates[0]


def _assets(nodes, runs, folders):
    """Vocabulary files, to be carried along: the loader tells the tables where they lie then."""
    files, definitions = {}, {}
    for node in runs:
        if node.op not in _FROM_FILE:
            continue
        source = prune.root(nodes, node.input[1])
        if source.op != "Const":
            raise ArtifactError(f"the vocabulary file of table {node.input[0]!r} is named by "
                                f"{source.op} {source.name!r}; it must be a constant.")
        path = tf.make_ndarray(source.attr["value"].tensor).item().decode()
        if source.name in definitions:
            continue
        found = _found(path, folders, node.input[0])
        place = _place(found, files)
        files[place] = found
        definition = meta_graph_pb2.AssetFileDef(filename=place.partition("/")[2])
        definition.tensor_info.name = source.name + ":0"
        definitions[source.name] = definition
    return files, tuple(definitions.values())


def _found(path, folders, table):
    tried = [path] + [os.path.join(folder, *parts) for folder in folders
                      for parts in ([path], [os.path.basename(path)])]
    for candidate in tried:
        if os.path.isfile(candidate):
            return os.path.abspath(candidate)
    raise ArtifactError(f"table {table!r} reads the vocabulary file {path!r}, which is not there. "
                        f"Put {os.path.basename(path)!r} beside the model ({folders[0] or '.'}).")


def _place(path, files):
    name, number = os.path.basename(path), 0
    place = f"assets/{name}"
    while place in files and files[place] != path:
        number += 1
        place = f"assets/{number}_{name}"
    return place
