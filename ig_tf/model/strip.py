"""Takes out of a MetaGraphDef what an earlier instrumentation put in."""

from ig_tf.model.model import ADDED, COLLECTION, FUNCTION_PREFIX, SCOPE


def strip(meta_graph):
    """Removes, in place, the nodes, functions, signatures, objects and record of ig_tf.

    A MetaGraph without the record (the collection) is left as it is, so a model that happens to
    have a signature of that name keeps it.
    """
    if COLLECTION not in meta_graph.collection_def:
        return
    _keep(meta_graph.graph_def.node, lambda node: not node.name.startswith(SCOPE))
    _keep(meta_graph.graph_def.library.function,
          lambda function: not function.signature.name.startswith(FUNCTION_PREFIX))
    for name in _added_signatures(meta_graph):
        del meta_graph.signature_def[name]
    del meta_graph.collection_def[COLLECTION]
    if meta_graph.HasField("object_graph_def"):
        _strip_objects(meta_graph.object_graph_def)


def _added_signatures(meta_graph):
    """Those that ig_tf's nodes answer; one of the model's own may be called the same."""
    return [name for name in ADDED if name in meta_graph.signature_def and any(
        info.name.startswith(SCOPE) for info in meta_graph.signature_def[name].outputs.values())]


def _strip_objects(objects):
    """Added objects are the last ones, so that no other node_id moves."""
    for name in [n for n in objects.concrete_functions if n.startswith(FUNCTION_PREFIX)]:
        del objects.concrete_functions[name]
    added = {
        index for index, node in enumerate(objects.nodes)
        if node.bare_concrete_function.concrete_function_name.startswith(FUNCTION_PREFIX)
        or any(n.startswith(FUNCTION_PREFIX) for n in node.function.concrete_functions)}
    for node in objects.nodes:
        _keep(node.children, lambda child: child.node_id not in added)
    while objects.nodes and len(objects.nodes) - 1 in added:
        added.discard(len(objects.nodes) - 1)
        del objects.nodes[-1]


def _keep(repeated, wanted):
    """Filters a repeated field in place; touches nothing where all are wanted."""
    kept = [item for item in repeated if wanted(item)]
    if len(kept) < len(repeated):
        copies = [type(item).FromString(item.SerializeToString()) for item in kept]
        del repeated[:]
        repeated.extend(copies)
