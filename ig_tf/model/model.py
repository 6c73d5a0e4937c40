"""One type for every artifact: the MetaGraph, the chosen signature, where the files lie."""

import dataclasses
import hashlib

from ig_tf.errors import SignatureError
from ig_tf.model.sparse_specs import sparse_arguments

# Signatures that no client calls: TensorFlow's own and the ones that ig_tf adds.
INIT_SIGNATURES = ("__saved_model_init_op", "__saved_model_train_op")
ATTRIBUTIONS = "attributions"
CUSTOM = "attributions_custom"
ADDED = (ATTRIBUTIONS, CUSTOM)
SCOPE = "ig_tf/"  # every added node lives here
FUNCTION_PREFIX = "ig_tf_"  # every added function is named so
COLLECTION = "ig_tf"
NAMED_OUTPUTS = "(named outputs)"  # instead of a signature's name
EXTRA = "assets.extra"
METADATA_FILE = "ig_tf.json"  # under assets.extra/


@dataclasses.dataclass(frozen=True)
class Model:
    """A model of any kind, read but not run, as the SavedModel that it is or will be.

    Attributes:
      path: what was read, for people: a directory, a file, a prefix, a handle, or words.
      proto: the whole `SavedModel` message, as it was before any instrumentation.
      index: which MetaGraph of it was chosen.
      signature_name: which signature is explained.
      chosen: sentences that say which choices were made for the user.
      explained: a SignatureDef in place of the named one, where inputs were swapped or the
        outputs were named by tensor; None for the model's own.
      working: GraphDef in which these inputs are placeholders and scalars are fixed, or None.
      feeds: the `Feed`s that were swapped, in it or, where the model became a SavedModel by being
        read, in the model itself.
      fixes: the `Fix`es that were made there.
      files: {place in the SavedModel: file to take it from}, variables and assets among them; a
        folder stands for an empty one.
      owner: what must live as long as the model (a temporary folder), or None.
    """

    path: str
    proto: object
    index: int
    signature_name: str
    chosen: tuple = ()
    explained: object = None
    working: object = None
    feeds: tuple = ()
    fixes: tuple = ()
    files: dict = dataclasses.field(default_factory=dict)
    owner: object = dataclasses.field(default=None, repr=False, compare=False)

    @property
    def meta_graph(self):
        return self.proto.meta_graphs[self.index]

    @property
    def graph_def(self):
        return self.meta_graph.graph_def

    @property
    def working_graph_def(self):
        """The graph that attribution is built from; its nodes are the model's own but for feeds,
        fixes and what depends on them."""
        return self.graph_def if self.working is None else self.working

    @property
    def signature(self):
        if self.explained is not None:
            return self.explained
        return self.meta_graph.signature_def[self.signature_name]

    @property
    def tags(self):
        return tuple(sorted(self.meta_graph.meta_info_def.tags))

    def inputs(self):
        """{signature input name: tensor name}, in the order of the names.

        A sparse input is three, named as `tf.saved_model.load` names them: NAME_indices,
        NAME_values and NAME_dense_shape.

        Raises:
          SignatureError: an input is a composite tensor of another kind.
        """
        found = {}
        for key in sorted(self.signature.inputs):
            info = self.signature.inputs[key]
            if info.WhichOneof("encoding") == "coo_sparse":
                found.update(zip(sparse_keys(key), _sparse_tensors(info)))
            elif info.name:
                found[key] = info.name
            else:
                raise SignatureError(
                    f"input {key!r} of signature {self.signature_name!r} is a composite tensor "
                    "(ragged, or of a type of its own): only dense and sparse inputs can be "
                    "attributed. Choose a signature that takes records or dense tensors.")
        return found

    def sparse_inputs(self):
        """{name: keys of `inputs()`} of the sparse inputs: indices, values and dense shape."""
        return {name: tuple(entry["keys"])
                for name, entry in self.described_sparse_inputs().items()}

    def described_sparse_inputs(self):
        """{name: {"keys", "shape"}} as JSON-able data: how the sparse inputs are fed."""
        described = {}
        for name in sorted(self.signature.inputs):
            info = self.signature.inputs[name]
            if info.WhichOneof("encoding") == "coo_sparse":
                sizes = [None if dim.size < 0 else dim.size for dim in info.tensor_shape.dim]
                described[name] = {"keys": list(sparse_keys(name)), "shape": sizes}
        flattened = sparse_arguments(self.meta_graph, self.signature_name)
        for name, (keys, shape) in sorted(flattened.items()):
            described[name] = {"keys": list(keys), "shape": list(shape)}
        return described

    def outputs(self):
        """{signature output name: tensor name}, in the order of the names; dense ones only."""
        return {key: self.signature.outputs[key].name for key in sorted(self.signature.outputs)
                if self.signature.outputs[key].name}

    def asked(self):
        """What `load` has to be told to make the same of the model again, as JSON-able data."""
        if self.working is None:
            return {}
        found = {"feeds": {one.tensor + _shape_text(one.shape): one.name for one in self.feeds},
                 "fixes": {one.placeholder: one.described()["value"] for one in self.fixes}}
        if self.signature_name == NAMED_OUTPUTS:
            inputs = self.inputs()
            own = {inputs[one.name]: one.tensor for one in self.feeds}
            found["outputs"] = {key: own.get(name, name) for key, name in self.outputs().items()}
        return found

    def fingerprint(self):
        """SHA-256 (hex) of the uninstrumented message, whatever order it was written in."""
        return hashlib.sha256(self.proto.SerializeToString(deterministic=True)).hexdigest()


def sparse_keys(name):
    """Names of the parts of a sparse input, as `tf.saved_model.load` makes them."""
    return (f"{name}_indices", f"{name}_values", f"{name}_dense_shape")


def _sparse_tensors(info):
    sparse = info.coo_sparse
    return (sparse.indices_tensor_name, sparse.values_tensor_name,
            sparse.dense_shape_tensor_name)


def usable_signatures(meta_graph):
    """Names of the signatures that a client can call, sorted."""
    return sorted(key for key in meta_graph.signature_def
                  if key not in INIT_SIGNATURES and key not in ADDED)


def choose_signature(meta_graph, name):
    """The name of the signature to explain, and a sentence if it was a choice.

    Args:
      meta_graph: a MetaGraphDef.
      name: the name that the user gave, or None.

    Raises:
      SignatureError: no such signature, none at all, or several without a default.
    """
    candidates = usable_signatures(meta_graph)
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


def _shape_text(shape):
    if shape.rank is None:
        return ""
    return "[" + ",".join("?" if dim is None else str(dim) for dim in shape.as_list()) + "]"


def _listed(names):
    return ", ".join(repr(name) for name in names) or "none"
