"""Flags that more than one program takes."""

from absl import flags


def define_choice():
    """Which model, MetaGraph, signature, target and points."""
    flags.DEFINE_string("model", None, "Directory of a SavedModel.", required=True)
    flags.DEFINE_list("tags", None, "Tag set of the MetaGraph, for example serve. By default the "
                      "only one, or serve.")
    flags.DEFINE_string("signature", None, "Signature to explain. By default serving_default, or "
                        "the only one.")
    flags.DEFINE_string(
        "target", None, "What to explain, one number per example: OUTPUT, OUTPUT:INDEX (several "
        "axes: OUTPUT:2,5) or OUTPUT:top, the class with the highest score of each example. "
        "Instead of an output, the node of a tensor inside the model. By default chosen, and said.")
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


def points(values):
    """The flag as the verbs take it."""
    return "auto" if values == ["auto"] else values
