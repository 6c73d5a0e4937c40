"""A frozen graph: one file with a GraphDef, binary or text."""

import os

from tensorflow.core.protobuf import meta_graph_pb2

from ig_tf.errors import ArtifactError
from ig_tf.model import assemble, contents


def read(path, asked):
    """Reads a frozen graph.

    Args:
      path: a .pb or .pbtxt file with a GraphDef.
      asked: `Asked`; a GraphDef has no signature, so its inputs and outputs are needed.

    Returns:
      A `Model` without variables.

    Raises:
      ArtifactError: the file holds something else, is cut off, or the graph was not frozen.
      SignatureError: inputs or outputs are missing or not there; the candidates are listed.
    """
    path = os.fspath(path)
    data = contents.read_file(path)
    graph_def = contents.graph_def(data)
    if graph_def is None:
        raise ArtifactError(f"found a file, {path!r}, that is no GraphDef: "
                            f"{contents.described(data)}.")
    source = assemble.Source(
        path=path, meta_graph=meta_graph_pb2.MetaGraphDef(graph_def=graph_def),
        chosen=(f"frozen graph {path}",), folders=(os.path.dirname(path) or ".",),
        without_weights="Give the checkpoint (its prefix, for example model.ckpt-1000) beside its "
                        ".meta file instead, or freeze the graph.")
    return assemble.assembled(source, asked)
