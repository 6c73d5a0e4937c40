"""The one place where small models are made and saved for tests, and where their answers are read.

A model is a plain function of tensors. It is called by keyword with the inputs and the variables
that it was declared with, and returns one tensor (the output `score`) or {output name: tensor}:

    def cubes(x, w):
        return tf.reduce_sum(w * x ** 3, 1)

    save_tf1(folder, cubes, {"x": spec([None, 2])}, {"w": np.array([1.0, 2.0])})
"""

import contextlib
import dataclasses

import numpy as np
import tensorflow as tf

import ig_tf

SCORE = "score"


def spec(shape, dtype=tf.float64):
    """What one input of the signature is; axis 0 is the batch, None where any size will do."""
    return tf.TensorSpec(shape, dtype)


@contextlib.contextmanager
def old_control_flow():
    """Loops and conditions as TensorFlow 1 wrote them: Enter, Merge, Switch, TensorArrayV3."""
    v1 = tf.compat.v1
    enabled = v1.control_flow_v2_enabled()
    v1.disable_control_flow_v2()
    try:
        yield
    finally:
        if enabled:
            v1.enable_control_flow_v2()


def save_tf1(path, function, inputs, variables=None):
    """A SavedModel as TensorFlow 1 wrote it: a flat graph of placeholders and ref variables."""
    v1 = tf.compat.v1
    with tf.Graph().as_default():
        given = {name: v1.placeholder(one.dtype, one.shape, name=name)
                 for name, one in inputs.items()}
        kept = {name: v1.get_variable(name, initializer=np.asarray(value), use_resource=False)
                for name, value in (variables or {}).items()}
        outputs = _named(function(**given, **kept))
        signature = v1.saved_model.predict_signature_def(
            given, {name: tf.identity(tensor) for name, tensor in outputs.items()})
        with v1.Session() as session:
            session.run(v1.global_variables_initializer())
            builder = v1.saved_model.Builder(str(path))
            builder.add_meta_graph_and_variables(
                session, ["serve"], signature_def_map={"serving_default": signature})
            builder.save()
    return str(path)


def save_tf2(path, function, inputs, variables=None, track=(), gradients=True):
    """A SavedModel as TensorFlow 2 writes it: an object graph, functions and their calls.

    `track`: objects with variables of their own (Keras layers) that the function uses.
    `gradients`: whether custom gradients are saved too; before 2.7 or so they were not.
    """
    module = tf.Module()
    module.kept = {name: tf.Variable(value, name=name)
                   for name, value in (variables or {}).items()}
    module.tracked = list(track)

    def serve(**given):
        return _named(function(**given, **module.kept))

    module.serve = tf.function(serve)
    signature = module.serve.get_concrete_function(
        **{name: tf.TensorSpec(one.shape, one.dtype, name=name) for name, one in inputs.items()})
    tf.saved_model.save(module, str(path), signatures={"serving_default": signature},
                        options=tf.saved_model.SaveOptions(experimental_custom_gradients=gradients))
    return str(path)


def weights_of(*shape):
    """Fixed numbers of no symmetry: sines of 1, 2, 3, ..."""
    return np.sin(1.0 + np.arange(np.prod(shape)).reshape(shape)) / np.sqrt(shape[0])


def matrix(*shape):
    """The same as a tensor."""
    return tf.constant(weights_of(*shape))


SAVERS = {"tf1": save_tf1, "tf2": save_tf2}


def _named(outputs):
    return outputs if isinstance(outputs, dict) else {SCORE: outputs}


def open_v2(path, signature="attributions"):
    """A signature by `tf.saved_model.load`: a function from arrays by name to arrays by name."""
    return open_v2_of_tags(path, None, signature)


def open_v2_of_tags(path, tags, signature="attributions"):
    """The same for a SavedModel with several MetaGraphs."""
    loaded = tf.saved_model.load(str(path), tags)
    function = loaded.signatures[signature]
    inputs = function.structured_input_signature[1]

    def run(**given):
        tensors = {name: tf.constant(value, inputs[name].dtype) for name, value in given.items()}
        return {key: value.numpy() for key, value in function(**tensors).items()}

    run.loaded = loaded  # its variables live as long as it does
    return run


def open_v1(path, signature="attributions"):
    """The same by `tf.compat.v1.saved_model.load` in a session."""
    v1 = tf.compat.v1
    graph = tf.Graph()
    with graph.as_default():
        session = v1.Session(graph=graph)
        meta_graph = v1.saved_model.load(session, ["serve"], str(path))
    found = meta_graph.signature_def[signature]
    assert found.method_name == "tensorflow/serving/predict"

    def run(**given):
        feed = {_fed_at(found, name): value for name, value in given.items()}
        return session.run({key: info.name for key, info in found.outputs.items()}, feed)

    return run


def _fed_at(signature, name):
    """The tensor of an input, or of the part NAME_indices, NAME_values or NAME_dense_shape."""
    for key, info in signature.inputs.items():
        if info.WhichOneof("encoding") == "coo_sparse" and name.startswith(key + "_"):
            return getattr(info.coo_sparse, f"{name.removeprefix(key + '_')}_tensor_name")
    return signature.inputs[name].name


LOADERS = {"v1": open_v1, "v2": open_v2}


def attributions(path, loader="v2", **inputs):
    """What the signature `attributions` of an instrumented SavedModel answers, as numpy arrays."""
    return LOADERS[loader](path)(**inputs)


@dataclasses.dataclass(frozen=True)
class Explained:
    """An instrumented model.

    Attributes:
      plan: the `Plan`.
      path: where it was saved.
      run: its signature `attributions`, called with arrays by keyword.
    """

    plan: object
    path: str
    run: object


def explain(path, output, loader="v2", **choices):
    """Instruments the SavedModel at `path` into `output`, opens it; `choices` as `instrument`."""
    plan = ig_tf.instrument(ig_tf.load(str(path)), **choices)
    ig_tf.save(plan, str(output))
    return Explained(plan, str(output), LOADERS[loader](output))


def build(folder, function, inputs, variables=None, kind="tf2", loader="v2", track=(), **choices):
    """Saves a model of `kind` under `folder`, instruments it and opens what came out."""
    more = {"track": track} if track else {}
    SAVERS[kind](folder / "model", function, inputs, variables, **more)
    return explain(folder / "model", folder / "explained", loader, **choices)
