"""Cases of frozen graphs, checkpoints and Keras files; the outcomes are those of cases.py."""

import os
import pathlib
import random
import shutil

from ig_tf.errors import IgTfError
from tools.fuzzing import artifacts, cases


def case_of(kind):
    """function(base, number, folder, say) -> outcome, of a kind of `artifacts.KINDS`."""
    def case(base, number, folder, say):
        model, out = os.path.join(folder, "model"), os.path.join(folder, "out")
        shutil.copytree(base.folder, model, copy_function=os.link)
        names = artifacts.mutate(kind, random.Random(number), model)
        say("ig_tf")
        try:
            plan = instrumented(kind, model, out)
        except IgTfError as error:
            return "refused", f"{type(error).__name__}: {error}", names
        try:
            answer = _answered(plan, out, base.inputs[artifacts.X])
        except IgTfError as error:
            answer = error
        say("tensorflow")
        return (*cases.judged(lambda: PLAIN[kind](plan, model, base.inputs[artifacts.X]), answer),
                names)
    return case


def loaded(kind, model):
    """The `Model` of a folder that `artifacts` made."""
    import ig_tf
    if kind == artifacts.CHECKPOINT:
        return ig_tf.load(os.path.join(model, artifacts.PREFIX), inputs=[artifacts.X],
                          outputs=[artifacts.SCORE])
    file, = pathlib.Path(model).iterdir()
    if kind == artifacts.KERAS:
        return ig_tf.load(str(file))
    return ig_tf.load(str(file), inputs=[artifacts.X], outputs=[artifacts.SCORE])


def instrumented(kind, model, out):
    """The `Plan` of a folder, saved to `out`."""
    import ig_tf
    plan = ig_tf.instrument(loaded(kind, model), steps=cases.STEPS)
    ig_tf.save(plan, out)
    return plan


def _answered(plan, out, x):
    """Of the one input, whatever it is called by now."""
    names = list(plan.model.inputs())
    return cases.answer_of(out, dict.fromkeys(names, x) if len(names) == 1 else {})


class _PlainGraph(cases.Plain):
    """A changed graph as TensorFlow imports it, with its variables as constants."""

    def __init__(self, plan, model, x):
        import tensorflow as tf
        graph_def = self._graph_def(model)
        wrapped = tf.compat.v1.wrap_function(
            lambda: tf.graph_util.import_graph_def(graph_def, name=""), [])
        names = plan.model.inputs()
        graph = wrapped.graph
        output, = plan.model.outputs().values()
        pruned = wrapped.prune([graph.get_tensor_by_name(name) for name in names.values()],
                               graph.get_tensor_by_name(output))
        key = plan.recipe.target.output
        super().__init__(plan, lambda **given: {key: pruned(*(given[name] for name in names))},
                         {name: tf.constant(x) for name in names})

    def _graph_def(self, model):
        from google.protobuf import text_format
        from tensorflow.core.framework import graph_pb2
        file, = pathlib.Path(model).iterdir()
        proto = graph_pb2.GraphDef()
        if file.suffix == ".pbtxt":
            text_format.Parse(file.read_text(encoding="utf-8"), proto)
        else:
            proto.ParseFromString(file.read_bytes())
        return proto


class _PlainCheckpoint(_PlainGraph):

    def _graph_def(self, model):
        import tensorflow as tf
        v1 = tf.compat.v1
        prefix = os.path.join(model, artifacts.PREFIX)
        with tf.Graph().as_default() as graph, v1.Session() as session:
            v1.train.import_meta_graph(prefix + ".meta").restore(session, prefix)
            return v1.graph_util.convert_variables_to_constants(
                session, graph.as_graph_def(), [artifacts.SCORE])


class _PlainKeras(cases.Plain):
    """A changed file as Keras loads it."""

    def __init__(self, plan, model, x):
        import keras
        import tensorflow as tf
        file, = pathlib.Path(model).iterdir()
        self.owner = keras.models.load_model(file, compile=False)
        name, = plan.model.inputs()
        key = plan.recipe.target.output
        super().__init__(plan, lambda **given: {key: self.owner(given[name])},
                         {name: tf.constant(x)})


PLAIN = {artifacts.FROZEN: _PlainGraph, artifacts.CHECKPOINT: _PlainCheckpoint,
         artifacts.KERAS: _PlainKeras}
