"""What was decided, as text for a terminal."""

from ig_tf.model.model import INIT_SIGNATURES


def plan_text(described):
    """A plan (`Plan.described()`) as lines."""
    target, rule = described["target"], described["rule"]
    lines = [f"signature   {described['source']['signature']}  "
             f"(tags {','.join(described['source']['tags']) or 'none'})",
             *_target(target),
             f"baseline    {described['baseline']}",
             f"method      {_method(described['method'])}",
             f"rule        {rule['name']}, {rule['steps']} nodes",
             f"frontier    {_frontier(described['frontier'])}",
             f"loop        {_loop(described['chunking'])}",
             f"runtime     {_runtime(described['runtime'])}",
             f"copied      {described['copied_ops']} ops; {described['shared_tensors']} tensors "
             "are shared with the model"]
    lines += points_text(described["points"])
    lines += _custom_text(described.get("custom"))
    lines += _listed("held constant", described["held_constant"])
    lines += _listed("changed in the copy", described["changed_in_the_copy"])
    lines += _listed("near misses", described["misses"])
    lines += _listed("chosen for you", described["choices"])
    return "\n".join(lines)


def _target(target):
    """What is explained, of how many numbers it is, and how to ask for the scores behind it."""
    several = f", {target['rows']}" if target["rows"] != "one per example" else ""
    lines = [f"target      {target['text']}  ({target['tensor']}){several}"]
    lines += [f"            {meaning}" for meaning in target.get("meanings", ())]
    if "function" in target:
        lines.append(f"            {target['function']}")
    if "scores_behind" in target:
        lines.append("            the scores behind this probability: "
                     f"--target={target['scores_behind']}")
    return lines


def _custom_text(custom):
    """What a request may choose; nothing where there is no such signature."""
    if not custom:
        return []
    inputs = [f"{key}: {one['dtype']}, {one['takes']}" for key, one in custom["inputs"].items()]
    return _listed(f"chosen by a request ({custom['signature']})", inputs + custom["left_out"])


def points_text(points):
    """Points as a table: one line each; then where they stand in the graph."""
    lines = _table([("point", "kind", "from", "shape", "table", "rows x dim", "pooled by")] + [
        (point["name"], point["kind"], ", ".join(point["features"]) or "-", _shape(point["shape"]),
         point["table"] or "-", _size(point), point["combiner"] or "-") for point in points])
    lines += ["", "where they stand:"]
    return ["", *lines, *("  " + line for line in _table(
        [(point["name"], point["tensor"]) for point in points]))]


def _table(rows):
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def _shape(dims):
    return "[" + ", ".join("?" if dim is None else str(dim) for dim in dims) + "]"


def _size(point):
    if point["table"] is None:
        return "-"
    return " x ".join("?" if number is None else str(number)
                      for number in (point["vocabulary"], point["dimension"]))


def signatures_text(model):
    """The signatures of a model: inputs and outputs with types and shapes."""
    lines = []
    for name, signature in sorted(model.meta_graph.signature_def.items()):
        if name in INIT_SIGNATURES:
            continue
        mark = "*" if name == model.signature_name else " "
        lines.append(f"{mark} signature {name}")
        for title, tensors in (("in ", signature.inputs), ("out", signature.outputs)):
            for key in sorted(tensors):
                lines.append(f"    {title} {key}: {_tensor(tensors[key])}")
    return "\n".join(lines)


def feeds_text(feeds, fixes):
    """Inputs that were no placeholders and scalars that are fixed; empty where there are none."""
    lines = []
    for feed in feeds:
        shape = "of unknown rank" if feed.shape.rank is None else "[" + ", ".join(
            "?" if dim is None else str(dim) for dim in feed.shape.as_list()) + "]"
        lines += [f"  {feed.name}: {feed.dtype.name} {shape}  ({feed.tensor})",
                  f"    {feed.source}"]
    for fix in fixes:
        lines.append(f"  {fix.placeholder} = {fix.value}  ({fix.reason})")
    title = "inputs in place of queues and the like, and scalars that are fixed:"
    return "".join(f"{line}\n" for line in [title, *lines]) if lines else ""


def _tensor(info):
    from tensorflow import as_dtype
    if info.tensor_shape.unknown_rank:
        shape = "of unknown rank"
    else:
        dims = ("?" if dim.size < 0 else str(dim.size) for dim in info.tensor_shape.dim)
        shape = f"[{', '.join(dims)}]"
    dtype = as_dtype(info.dtype).name if info.dtype else "composite"
    return f"{dtype} {shape}  ({info.name or info.WhichOneof('encoding')})"


def _method(method):
    cost = f"{method['gradients_per_example']} gradients"
    if method["probes_per_example"]:
        cost += f" and {method['probes_per_example']} forward passes"
    return f"{method['text']} ({method['paper']}): {cost} per example"


def _loop(chunking):
    if "reason" in chunking:
        return f"{chunking['mode']} ({chunking['reason']})"
    rows = chunking["rows"]
    return f"{chunking['mode']}, " + (f"{rows} at a time" if isinstance(rows, int) else rows)


def _frontier(frontier):
    pools = ", ".join(frontier.get("through_pools", ()))
    behind = f"; behind {pools} in requests where what is largest at x is so at x'" * bool(pools)
    if not frontier["hoisted_ops"]:
        return "the points themselves" + behind
    places = ", ".join(f"{place['tensor']} {_shape(place['shape'] or ())}".removesuffix(" []")
                       for place in frontier["tensors"])
    return f"{places}; {frontier['hoisted_ops']} affine ops before it run once per request{behind}"


def _runtime(profile):
    xla = {True: "XLA", False: "no XLA"}.get(profile["xla"], "XLA where it can be")
    old = f", for TensorFlow {profile['tensorflow']}" if profile["tensorflow"] else ""
    return f"{profile['name']}: {profile['memory_budget'] >> 20} MiB per chunk, {xla}{old}"


def _listed(title, items):
    return ["", f"{title}:", *(f"  {item}" for item in items)] if items else []
