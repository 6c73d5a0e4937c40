"""Flags that more than one program takes."""

from absl import flags

from ig_tf.run import libraries


def define_choice():
    """Which model, MetaGraph, signature, target and points."""
    define_libraries()
    flags.DEFINE_string(
        "model", None, "The model: a SavedModel folder, a frozen graph (.pb, .pbtxt), a checkpoint "
        "(model.ckpt-1000 beside its .meta), a TensorFlow Hub handle, folder or .tar.gz, or a "
        "Keras file (.keras, .h5).", required=True)
    flags.DEFINE_list("tags", None, "Tag set of the MetaGraph, for example serve. By default the "
                      "only one, or serve.")
    flags.DEFINE_string("signature", None, "Signature to explain. By default serving_default, or "
                        "the only one.")
    flags.DEFINE_list("inputs", None, "For a graph without a signature: what it takes, NAME, "
                      "NAME:k or KEY=NAME of tensors. Without it, all that the outputs need.")
    flags.DEFINE_list("outputs", None, "For a graph without a signature: what it gives, likewise.")
    flags.DEFINE_string(
        "target", None, "What to explain, one number per example: OUTPUT, OUTPUT:INDEX (several "
        "axes: OUTPUT:2,5), OUTPUT:A-B (why A rather than B: the difference of two scores) or "
        "OUTPUT:top, the class with the highest score of each example. For an axis may also stand "
        "max, sum or mean (OUTPUT:max,max,3; OUTPUT:max for all axes). Several numbers: "
        "OUTPUT:top5 or OUTPUT:all classes, OUTPUT:each,top for each place of an axis. Instead of "
        "an output, the node of a tensor inside the model. By default chosen, and said.")
    flags.DEFINE_list("points", ["auto"], "Where to attribute: auto (everywhere, so that the "
                      "attributions sum to F(x) - F(baseline)), or names of points, signature "
                      "inputs or tensors.")
    flags.DEFINE_string(
        "feed", None, "For a graph fed by queues, readers or iterators: which tensors shall be "
        "inputs, TENSOR:NAME,... (shuffle_batch:1:features); a shape may follow, [?,9]. By default "
        "all that it waits for; `ig-tf inspect` lists them.")
    flags.DEFINE_string(
        "fix", None, "Scalars that the graph needs and that are no data, PLACEHOLDER:VALUE,... "
        "(keep_prob:1.0,is_training:false). By default those that are recognised.")


def define_libraries():
    """What the model's graph needs beyond TensorFlow itself."""
    flags.DEFINE_list("load_op_library", [], "Libraries (.so) of custom ops to load first. They "
                      "are code that runs in this process.")
    flags.DEFINE_list("import", [], "Python modules to import first, that register ops or Keras "
                      "layers, for example tensorflow_text. They are code that runs.")


def define_trust():
    """Whether a model may do more than compute."""
    flags.DEFINE_bool("allow_unsafe_ops", False, "Run a model that reads or writes files other "
                      "than its own, uses the network or runs Python. Without it such a model is "
                      "refused, and its ops are named.")


def load_libraries():
    """Loads what the flags of `define_libraries` name.

    Raises:
      ArtifactError: a library or module cannot be loaded.
    """
    libraries.load(flags.FLAGS.load_op_library, flags.FLAGS["import"].value)


def load():
    """The model that the flags of `define_choice` name."""
    from ig_tf import api
    load_libraries()
    values = flags.FLAGS
    return api.load(values.model, values.tags, values.signature, values.inputs, values.outputs,
                    feeds=values.feed, fixes=values.fix)


def points(values):
    """The flag as the verbs take it."""
    return "auto" if values == ["auto"] else values
