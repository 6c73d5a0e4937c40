"""Ops of a SavedModel that reach outside it: files, the network, Python. Told before it is loaded.

A SavedModel is a program. Loading one runs its initializers, and a request runs its signature.
Tables of lookups read the model's own assets, and variables its own checkpoint: these are no
outside. What other signatures do is not looked at; nothing runs them here.
"""

import dataclasses
import os

from google.protobuf import message, text_format

from ig_tf.errors import ArtifactError

READS, WRITES = "reads files", "writes files"
NETWORK, PYTHON = "talks to the network", "runs Python of the process"
FOREIGN = "runs code by a name that is looked up in the process"

# op type: what it does outside
OPS = {
    **dict.fromkeys((
        "ReadFile", "MatchingFiles", "MatchingFilesDataset", "ExperimentalMatchingFilesDataset",
        "TextLineDataset", "TFRecordDataset", "TFRecordDatasetV2", "FixedLengthRecordDataset",
        "FixedLengthRecordDatasetV2", "CSVDataset", "CSVDatasetV2", "ExperimentalCSVDataset",
        "LMDBDataset", "ExperimentalLMDBDataset", "SqlDataset", "ExperimentalSqlDataset",
        "LoadDataset", "SnapshotDatasetReader", "SnapshotChunkDataset", "ListSnapshotChunksDataset",
        "TextLineReader", "TextLineReaderV2", "TFRecordReader", "TFRecordReaderV2",
        "FixedLengthRecordReader", "FixedLengthRecordReaderV2", "WholeFileReader",
        "WholeFileReaderV2", "LMDBReader", "RecordInput", "Restore", "RestoreSlice", "RestoreV2",
        "DTensorRestoreV2", "LoadAndRemapMatrix", "GenerateVocabRemapping",
        "InitializeTableFromTextFile", "InitializeTableFromTextFileV2", "ImmutableConst",
        "FixedUnigramCandidateSampler", "Skipgram", "FileSystemSetConfiguration"), READS),
    **dict.fromkeys((
        "WriteFile", "Save", "SaveSlices", "SaveV2", "MergeV2Checkpoints", "DatasetToTFRecord",
        "ExperimentalDatasetToTFRecord", "SaveDataset", "SaveDatasetV2", "SnapshotDataset",
        "SnapshotDatasetV2", "CacheDataset", "CacheDatasetV2", "CreateSummaryFileWriter",
        "CreateSummaryDbWriter", "DumpTensor", "CalibrationStatisticsSaver", "DebugIdentityV2",
        "DebugIdentityV3", "DistributedSave"), WRITES),
    **dict.fromkeys((
        "DebugIdentity", "DebugNanCount", "DebugNumericSummary", "DataServiceDataset",
        "DataServiceDatasetV2", "DataServiceDatasetV3", "DataServiceDatasetV4", "RegisterDataset",
        "RegisterDatasetV2", "RpcClient", "RpcCall", "RpcServer", "RpcServerStart", "RemoteCall",
        "BigQueryReader", "CloudBigtableClient"), NETWORK),
    **dict.fromkeys(("PyFunc", "PyFuncStateless", "EagerPyFunc"), PYTHON),
    **dict.fromkeys(("XlaCustomCall", "XlaCustomCallV2"), FOREIGN),
}
PREFIXES = {"IO>": "reads or writes files or the network (tensorflow-io)"}
# {op: place of the input that names the file}: fine where that is an asset or the checkpoint.
_OF_THE_MODEL = {"InitializeTableFromTextFile": 1, "InitializeTableFromTextFileV2": 1,
                 "Restore": 0, "RestoreSlice": 0, "RestoreV2": 0, "TextLineDataset": 0,
                 "ReadFile": 0}
_HANDS_ON = ("Identity", "PlaceholderWithDefault", "EnsureShape", "StopGradient")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_TO_A_FILE = b"file://"  # PrintV2
_MOST_BYTES = 2**31 - 1  # more is no protobuf
_SAID = 8  # ops that the message names
# Functions of objects, by the name of the edge to them, that tf.saved_model.load runs.
_RUN_ON_LOADING = ("_initialize", "_create_resource", "_destroy_resource")
# Where a MetaGraph of TensorFlow 1 says what to run on loading; where it says nothing, tables are
# filled and local variables set.
_INIT_SIGNATURE = "__saved_model_init_op"
_INIT_OPS = ("saved_model_main_op", "legacy_init_op")
_TABLES = "table_initializer"


@dataclasses.dataclass(frozen=True, order=True)
class Outside:
    """An op that reaches outside.

    Attributes:
      op: its type.
      what: what it does.
      node: its name.
      function: the function that it stands in, or "".
    """

    op: str
    what: str
    node: str
    function: str

    def text(self):
        place = f" of function {self.function!r}" if self.function else ""
        return f"{self.op} ({self.what}; node {self.node!r}{place})"


def refuse(path, tags, signatures, by_session=False):
    """Refuses a SavedModel whose loading or whose signatures would reach outside.

    Args:
      path: its directory.
      tags: of the MetaGraph that will be loaded.
      signatures: names of those that will be called.
      by_session: whether it will be loaded as TensorFlow 1 does.

    Raises:
      ArtifactError: it would; the ops are named. Or an asset lies outside its folder, or its
        message cannot be read.
    """
    proto = read(path)
    meta_graph = _tagged(path, proto, tags)
    for asset in _assets(meta_graph):
        parts = asset.filename.replace("\\", "/").split("/")
        if os.path.isabs(asset.filename) or ".." in parts:
            raise ArtifactError(f"an asset of {path!r} lies outside its folder: "
                                f"{asset.filename!r}.")
    # tf.saved_model.load goes by the objects of the only MetaGraph: its nodes are not run then.
    found = find(meta_graph, signatures, by_session or len(proto.meta_graphs) > 1)
    if found:
        listed = "; ".join(one.text() for one in found[:_SAID])
        more = f"; and {len(found) - _SAID} more" if len(found) > _SAID else ""
        raise ArtifactError(
            f"loading {path!r} or calling it would run ops that reach outside the model: "
            f"{listed}{more}. Nothing was run. If you trust whoever made the model: "
            "--allow_unsafe_ops (in Python allow_unsafe_ops=True).")


def read(path):
    """The message of a SavedModel; nothing is run.

    Raises:
      ArtifactError: there is none, or it is broken.
    """
    from tensorflow.core.protobuf import saved_model_pb2
    proto = saved_model_pb2.SavedModel()
    try:
        binary = os.path.join(path, "saved_model.pb")
        if os.path.exists(binary):
            proto.ParseFromString(_read(binary))
        else:
            text_format.Parse(_read(binary + "txt").decode("utf-8"), proto)
    except (OSError, message.DecodeError, text_format.ParseError, UnicodeDecodeError,
            RecursionError) as error:
        raise ArtifactError(f"{path!r} holds no SavedModel message that can be read: "
                            f"{error}") from error
    return proto


def _tagged(path, proto, tags):
    for meta_graph in proto.meta_graphs:
        if set(meta_graph.meta_info_def.tags) == set(tags):
            return meta_graph
    raise ArtifactError(f"{path!r} has no MetaGraph tagged {sorted(tags)}, which its record of the "
                        "instrumentation names.")


def _read(file):
    size = os.stat(file).st_size
    if size > _MOST_BYTES:
        raise ArtifactError(f"{file!r} has {size:,} bytes; a SavedModel message has less than "
                            f"{_MOST_BYTES + 1:,}.")
    with open(file, "rb") as stream:
        return stream.read()


def find(meta_graph, signatures, by_session=False):
    """The ops that reach outside and run on loading, or with one of the signatures.

    Args:
      meta_graph: a MetaGraphDef.
      signatures: their names.
      by_session: whether nodes of the top level run even where there are objects.

    Returns:
      `Outside`s, sorted, each once.
    """
    search = _Search(meta_graph)
    if by_session or not meta_graph.HasField("object_graph_def"):
        search.graph(_roots(meta_graph, signatures))
    objects = meta_graph.object_graph_def
    names = {*_RUN_ON_LOADING, *signatures}
    for node in objects.nodes:
        for child in node.children:
            if child.local_name in names and 0 <= child.node_id < len(objects.nodes):
                for name in _concrete(objects.nodes[child.node_id]):
                    search.function(name, _assets_bound(objects, name, search.functions))
    return sorted(search.found)


def _roots(meta_graph, signatures):
    """Names of the nodes that loading or a signature asks for."""
    names = [info.name for key in (*signatures, _INIT_SIGNATURE)
             if key in meta_graph.signature_def
             for info in meta_graph.signature_def[key].outputs.values()]
    names.extend(name for key in _INIT_OPS for name in _collected(meta_graph, key))
    names.append(meta_graph.saver_def.restore_op_name)
    if _INIT_SIGNATURE not in meta_graph.signature_def and not any(
            _collected(meta_graph, key) for key in _INIT_OPS):
        names.extend(_collected(meta_graph, _TABLES))
        names.extend(_initializers_of_variables(meta_graph))
    return [_node(name) for name in names if name]


def _collected(meta_graph, key):
    """Names of nodes that a collection holds."""
    if key not in meta_graph.collection_def:
        return []
    return list(meta_graph.collection_def[key].node_list.value)


def _initializers_of_variables(meta_graph):
    """Of local variables: they are not restored."""
    from tensorflow.core.framework import variable_pb2
    if "local_variables" not in meta_graph.collection_def:
        return
    for raw in meta_graph.collection_def["local_variables"].bytes_list.value:
        try:
            yield variable_pb2.VariableDef.FromString(raw).initializer_name
        except message.DecodeError:
            continue  # TensorFlow will refuse it


def _concrete(node):
    kind = node.WhichOneof("kind")
    if kind == "bare_concrete_function":
        return [node.bare_concrete_function.concrete_function_name]
    return list(node.function.concrete_functions) if kind == "function" else []


def _assets_bound(objects, name, functions):
    """Which arguments of a concrete function are assets: the captured ones come last."""
    if name not in functions or name not in objects.concrete_functions:
        return ()
    bound = [0 <= place < len(objects.nodes) and objects.nodes[place].WhichOneof("kind") == "asset"
             for place in objects.concrete_functions[name].bound_inputs]
    missing = len(functions[name].signature.input_arg) - len(bound)
    return (*[False] * max(missing, 0), *bound)


class _Search:
    """A walk over what runs. Whether a file's name is the model's own goes along with calls."""

    def __init__(self, meta_graph):
        self.top = {node.name: node for node in meta_graph.graph_def.node}
        self.functions = {function.signature.name: function
                          for function in meta_graph.graph_def.library.function}
        assets = [asset.tensor_info.name for asset in _assets(meta_graph)]
        self.own = {_node(name) for name in (*assets, meta_graph.saver_def.filename_tensor_name)
                    if name}
        self.found = set()
        self._seen = set()

    def graph(self, roots):
        """Looks at all nodes of the top level that some of them need."""
        queue, entered = list(roots), set()
        while queue:
            name = queue.pop()
            if name in entered or name not in self.top:
                continue
            entered.add(name)
            queue.extend(_node(value) for value in self.top[name].input)
        waiting = []
        for name in entered:
            self._look(self.top[name], "", self.top, self.own, waiting)
        self._drain(waiting)

    def function(self, name, own):
        """Looks at a function; `own` says which arguments name files of the model."""
        self._drain([(name, tuple(own))])

    def _drain(self, waiting):
        while waiting:
            name, own = waiting.pop()
            if name not in self.functions or (name, own) in self._seen:
                continue
            self._seen.add((name, own))
            function = self.functions[name]
            nodes = {node.name: node for node in function.node_def}
            named = {argument.name for argument, is_own in zip(function.signature.input_arg, own)
                     if is_own}
            for node in function.node_def:
                self._look(node, name, nodes, named, waiting)

    def _look(self, node, function, nodes, own, waiting):
        what = OPS.get(node.op) or next(
            (text for prefix, text in PREFIXES.items() if node.op.startswith(prefix)), None)
        if node.op == "PrintV2" and "output_stream" in node.attr and (
                node.attr["output_stream"].s.startswith(_TO_A_FILE)):
            what = WRITES
        data = [value for value in node.input if not value.startswith("^")]
        if what and not self._is_own(node, data, nodes, own):
            self.found.add(Outside(node.op, what, node.name, function))
        passed = tuple(_comes_from(value, nodes, own) for value in data)
        for name in _called(node):
            waiting.append((name, passed if node.op in (*_CALLS, name) else ()))

    def _is_own(self, node, data, nodes, own):
        place = _OF_THE_MODEL.get(node.op)
        return place is not None and place < len(data) and _comes_from(data[place], nodes, own)


def _comes_from(value, nodes, own):
    """Whether a tensor is one of those that hold the names of the model's own files."""
    for _ in range(len(nodes) + 1):
        name = _node(value)
        if name in own:
            return True
        node = nodes.get(name)
        if node is None or node.op not in _HANDS_ON or not node.input:
            return False
        value = node.input[0]
    return False


def _called(node):
    names = [node.op]
    for attr in node.attr.values():
        if attr.HasField("func"):
            names.append(attr.func.name)
        names.extend(function.name for function in attr.list.func)
    return names


def _assets(meta_graph):
    """The AssetFileDefs, where TensorFlow 2 and 1 keep them."""
    from tensorflow.core.protobuf import meta_graph_pb2
    yield from meta_graph.asset_file_def
    if "saved_model_assets" not in meta_graph.collection_def:
        return
    for packed in meta_graph.collection_def["saved_model_assets"].any_list.value:
        asset = meta_graph_pb2.AssetFileDef()
        try:
            if packed.Unpack(asset):
                yield asset
        except message.DecodeError:
            continue  # TensorFlow will refuse it


def _node(value):
    return value.removeprefix("^").partition(":")[0]
