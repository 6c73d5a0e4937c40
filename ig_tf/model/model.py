"""One type for every artifact: the MetaGraph, the chosen signature, where the files lie."""

import dataclasses
import hashlib

from ig_tf.errors import SignatureError

# Signatures that no client calls: TensorFlow's own and the ones that ig_tf adds.
INIT_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")
ATTRIBUTIONS = "attributions"
SCOPE = "ig_tf/"  # every added node lives here
FUNCTION_PREFIX = "ig_tf_"  # every added function is named so
COLLECTION = "ig_tf"
METADATA_FILE = "ig_tf.json"  # under assets.extra/


@dataclasses.dataclass(frozen=True)
class Model:
    """A SavedModel on disk, read but not run.

    Attributes:
      path: directory of the SavedModel.
      proto: the whole `SavedModel` message, as it was before any instrumentation.
      index: which MetaGraph of it was chosen.
      signature_name: which signature is explained.
      chosen: sentences that say which choices were made for the user.
    """

    path: str
    proto: object
    index: int
    signature_name: str
    chosen: tuple = ()

    @property
    def meta_graph(self):
        return self.proto.meta_graphs[self.index]

    @property
    def graph_def(self):
        return self.meta_graph.graph_def

    @property
    def signature(self):
        return self.meta_graph.signature_def[self.signature_name]

    @property
    def tags(self):
        return tuple(sorted(self.meta_graph.meta_info_def.tags))

    def inputs(self):
        """{signature input name: tensor name}, in the order of the names."""
        return {key: self.signature.inputs[key].name for key in sorted(self.signature.inputs)}

    def outputs(self):
        """{signature output name: tensor name}, in the order of the names."""
        return {key: self.signature.outputs[key].name for key in sorted(self.signature.outputs)}

    def fingerprint(self):
        """SHA-256 (hex) of the uninstrumented message, whatever order it was written in."""
        return hashlib.sha256(self.proto.SerializeToString(deterministic=True)).hexdigest()


def choose_signature(meta_graph, name):
    """The name of the signature to explain, and a sentence if it was a choice.

    Args:
      meta_graph: a MetaGraphDef.
      name: the name that the user gave, or None.

    Raises:
      SignatureError: no such signature, none at all, or several without a default.
    """
    candidates = sorted(
        key for key in meta_graph.signature_def
        if key not in INIT_SIGNATURES and key != ATTRIBUTIONS)
    if name is not None:
        if name not in candidates:
            raise SignatureError(
                f"no signature {name!r} in the model; it has: {_listed(candidates)}.")
        return name, None
    if "serving_default" in candidates:
        others = [key for key in candidates if key != "serving_default"]
        note = f"signature serving_default (also there: {_listed(others)})" if others else None
        return "serving_default", note
    if len(candidates) == 1:
        return candidates[0], f"signature {candidates[0]} (the only one)"
    if not candidates:
        raise SignatureError("the MetaGraph has no signature to explain.")
    raise SignatureError(
        f"the model has several signatures and no serving_default: {_listed(candidates)}. "
        f"Name one, for example --signature={candidates[0]}.")


def _listed(names):
    return ", ".join(repr(name) for name in names) or "none"
