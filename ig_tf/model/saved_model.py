"""A SavedModel directory, read without running or restoring anything."""

import dataclasses
import os

from google.protobuf import message, text_format
from tensorflow.core.protobuf import saved_model_pb2

from ig_tf.errors import ArtifactError, SignatureError
from ig_tf.model import contents, named, prune, sound, strip
from ig_tf.model.answering import answering
from ig_tf.model.model import (EXTRA, METADATA_FILE, NAMED_OUTPUTS, Model, choose_signature,
                               usable_signatures)
from ig_tf.model.nodes import producer

# The two files that can hold the message; the first that exists is read, as TensorFlow does.
PROTO_FILES = ("saved_model.pb", "saved_model.pbtxt")


def read(path, asked, usual=(), note=None):
    """Reads a SavedModel.

    Args:
      path: its directory.
      asked: `Asked`. Without tags the only MetaGraph is taken, or the one tagged `serve` alone;
        without a signature serving_default or the only one. Of inputs and outputs that are named
        a signature is made; where outputs wait for what is no placeholder, they are explained in
        a working graph.
      usual: names of signatures that are taken before serving_default.
      note: a sentence that says what was recognised, or None.

    Returns:
      A `Model` whose message is free of what an earlier instrumentation added.

    Raises:
      ArtifactError: not a SavedModel, or a broken one.
      SignatureError: the tags or the signature are not there, or not clear.
    """
    path = os.fspath(path)
    proto = read_proto(path)
    if not proto.meta_graphs:
        raise ArtifactError(f"{path} holds a SavedModel message without any MetaGraph.")
    for meta_graph in proto.meta_graphs:
        strip.strip(meta_graph)
    index, tag_note = _choose_meta_graph(proto, asked.tags)
    # What is added needs a library. An empty one says the same as none; later none could tell.
    proto.meta_graphs[index].graph_def.library.SetInParent()
    meta_graph = proto.meta_graphs[index]
    _refuse_assets_outside(path, meta_graph)
    sound.refuse_broken(path, meta_graph)
    notes = [text for text in (note, tag_note) if text]
    if asked.names_tensors:
        return _of_named_tensors(Model(path, proto, index, NAMED_OUTPUTS, tuple(notes),
                                       files=files_of(path)), asked)
    if not (asked.signature or usable_signatures(meta_graph)
            or meta_graph.HasField("object_graph_def")):
        raise named.ask(meta_graph.graph_def)
    wanted = next((name for name in usual if name in meta_graph.signature_def), None)
    name, signature_note = choose_signature(meta_graph, asked.signature or wanted)
    notes += [signature_note] if signature_note else []
    return answering(Model(path, proto, index, name, tuple(notes), files=files_of(path)), None,
                     asked.feeds, asked.fixes)


def _of_named_tensors(model, asked):
    """A model whose inputs and outputs are named by the user, not by a signature."""
    if _are_placeholders(model.meta_graph.graph_def, asked):
        name, note = _made_signature(model.meta_graph, asked)
        model = dataclasses.replace(model, signature_name=name, chosen=(*model.chosen, note))
        return answering(model, None, asked.feeds, asked.fixes)
    made = answering(model, named.tensors(asked.outputs, "output"), _all_feeds(asked),
                     asked.fixes)
    return made if made.feeds or made.fixes else _with_signature(model, made.explained, asked)


def _with_signature(model, signature, asked):
    """The named outputs and the placeholders that they need, as a signature of the model."""
    signatures = model.meta_graph.signature_def
    name = asked.signature or prune.unused_name("serving_default", signatures)
    if name in signatures:
        raise SignatureError(f"the model has a signature {name!r} already; with --outputs, "
                             "--signature is the name of a new one.")
    signatures[name].CopyFrom(signature)
    signatures[name].method_name = named.PREDICT
    listed = ", ".join(sorted(signature.inputs))
    note = (f"signature {name} was made of the named outputs and of all placeholders that they "
            f"need ({listed})")
    return dataclasses.replace(model, signature_name=name, chosen=(*model.chosen, note))


def _are_placeholders(graph_def, asked):
    """Whether a signature can be made of the named inputs: nothing has to be swapped for it."""
    if not asked.inputs or not asked.outputs or asked.feeds:
        return not asked.outputs  # outputs are asked for
    nodes = prune.nodes_by_name(graph_def)
    inputs = named.tensors(asked.inputs, "input")
    return all(producer(tensor) not in nodes
               or nodes[producer(tensor)].op in prune.PLACEHOLDERS
               for tensor in inputs.values())


def _all_feeds(asked):
    """What shall be inputs: by --feed, and by --inputs where these are computed."""
    if not asked.inputs:
        return asked.feeds
    inputs = {tensor: key for key, tensor in named.tensors(asked.inputs, "input").items()}
    if not asked.feeds:
        return inputs
    raise SignatureError("name what shall be fed either with --inputs or with --feed, not both.")


def _made_signature(meta_graph, asked):
    """Adds a signature of named tensors; the graph itself stays as it is.

    Returns:
      (its name, a sentence).
    """
    if meta_graph.HasField("object_graph_def"):
        raise SignatureError("signatures of a TensorFlow 2 SavedModel are functions: one cannot be "
                             "made of tensors. Choose one with --signature, without --inputs and "
                             "--outputs.")
    inputs = named.tensors(asked.inputs, "input")
    outputs = named.tensors(asked.outputs, "output")
    if not inputs or not outputs:
        raise named.ask(meta_graph.graph_def)
    named.refuse_missing(meta_graph.graph_def, inputs, "input")
    named.refuse_missing(meta_graph.graph_def, outputs, "output")
    name = asked.signature or prune.unused_name("serving_default", meta_graph.signature_def)
    if name in meta_graph.signature_def:
        raise SignatureError(f"the model has a signature {name!r} already; with --inputs and "
                             "--outputs, --signature is the name of a new one.")
    meta_graph.signature_def[name].CopyFrom(
        named.signature_of(meta_graph.graph_def, inputs, outputs))
    return name, f"signature {name} was made of the named inputs and outputs"


# Files of a SavedModel that are written anew, or no longer true of the changed message.
WRITTEN_ANEW = (*PROTO_FILES, "fingerprint.pb", f"{EXTRA}/{METADATA_FILE}")


def files_of(path):
    """{place in the SavedModel: file}, all but what is written anew; empty folders too.

    A link to a folder is followed, so that no weights are left behind.
    """
    path = os.path.abspath(path)
    found, entered = {}, {os.path.realpath(path)}
    for folder, folders, names in os.walk(path, followlinks=True):
        folders[:] = sorted(name for name in folders
                            if os.path.realpath(os.path.join(folder, name)) not in entered)
        entered.update(os.path.realpath(os.path.join(folder, name)) for name in folders)
        relative = os.path.relpath(folder, path).replace(os.sep, "/")
        inside = "" if relative == "." else relative + "/"
        if relative != "." and not folders and not names:
            found[relative] = folder
        for name in sorted(names):
            if inside + name not in WRITTEN_ANEW:
                found[inside + name] = os.path.join(folder, name)
    return found


def read_proto(path):
    """The `SavedModel` message of a directory, as it lies there.

    Raises:
      ArtifactError: no directory, no message file in it, or one that cannot be parsed.
    """
    if not os.path.isdir(path):
        found = "a file" if os.path.exists(path) else "nothing"
        raise ArtifactError(f"a SavedModel is a directory; found {found} at {path!r}.")
    for name in PROTO_FILES:
        file = os.path.join(path, name)
        if os.path.exists(file):
            return _parse(file)
    raise ArtifactError(
        f"{path!r} is not a SavedModel: it has neither {' nor '.join(PROTO_FILES)}; "
        f"found {sorted(os.listdir(path))[:10]}.")


def _parse(file):
    proto = saved_model_pb2.SavedModel()
    try:
        data = contents.read_file(file)
        if file.endswith("pbtxt"):
            text_format.Parse(data.decode("utf-8"), proto)
        else:
            proto.ParseFromString(data)
    except (message.DecodeError, text_format.ParseError, UnicodeDecodeError,
            RecursionError) as error:
        raise ArtifactError(
            f"{file!r} is not a SavedModel message (truncated, or another kind of file: "
            f"{contents.described(data)}): {error}") from error
    if not any(one.graph_def.node for one in proto.meta_graphs) and contents.graph_def(data):
        raise ArtifactError(f"{file!r} is not a SavedModel message: {contents.described(data)}.")
    return proto


def _refuse_assets_outside(path, meta_graph):
    """An asset is a file in assets/: TensorFlow would follow any other path to it."""
    for asset in meta_graph.asset_file_def:
        parts = asset.filename.replace("\\", "/").split("/")
        if os.path.isabs(asset.filename) or ".." in parts:
            raise ArtifactError(f"the SavedModel {path!r} has an asset outside its own folder: "
                                f"{asset.filename!r}.")


def _choose_meta_graph(proto, tags):
    """Index of the MetaGraph with this tag set, and a sentence if it was a choice."""
    sets = [frozenset(meta_graph.meta_info_def.tags) for meta_graph in proto.meta_graphs]
    listed = "; ".join("--tags=" + ",".join(sorted(one)) for one in sets)
    if tags is not None:
        wanted = frozenset(tag for tag in tags if tag)
        if wanted not in sets:
            raise SignatureError(
                f"no MetaGraph is tagged {sorted(wanted)}; the model has: {listed}.")
        return sets.index(wanted), None
    if len(sets) == 1:
        return 0, None
    if frozenset({"serve"}) in sets:
        return sets.index(frozenset({"serve"})), f"tags serve (of: {listed})"
    raise SignatureError(f"the model has several MetaGraphs; name one of: {listed}.")
