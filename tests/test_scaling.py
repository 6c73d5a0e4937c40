"""Instrumenting a model of twice the size takes about twice the work, not four times.

Work is counted, not timed: how often Python calls each function of ig_tf is the same on every
machine.
"""

import collections
import sys

import pytest

import ig_tf
from ig_tf import api
from tools import benchmark_models

PACKAGE = ig_tf.__file__.rpartition("__init__")[0]
SMALL, FACTOR = 300, 2


def calls(run):
    """Calls of functions of the package, comprehensions counted too, by file and name."""
    counted = collections.Counter()

    def note(frame, event, _):
        if event == "call" and frame.f_code.co_filename.startswith(PACKAGE):
            counted[frame.f_code.co_filename[len(PACKAGE):], frame.f_code.co_name] += 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return counted


def counted(kind, nodes, folder):
    folder = folder / f"{kind}_{nodes}"
    benchmark_models.KINDS[kind](folder, nodes)
    found = []

    def run():
        model = api.load(folder)
        plan = api.instrument(model, steps=2)
        api.save(plan, f"{folder}_out")
        graph_def = model.graph_def
        found.append(len(graph_def.node) + sum(
            len(function.node_def) for function in graph_def.library.function))

    return calls(run), found


@pytest.mark.parametrize("kind", ["deep", "wide", "conditions"])
def test_the_work_grows_with_the_size(kind, tmp_path):
    small, (nodes,) = counted(kind, SMALL, tmp_path)
    large, (more_nodes,) = counted(kind, FACTOR * SMALL, tmp_path)
    assert more_nodes > 1.5 * nodes
    grown = {name: count / max(small[name], 1) / (more_nodes / nodes)
             for name, count in large.items() if count > 2 * more_nodes}
    assert grown
    # What grows with the square doubles its ratio; what is in proportion leaves it at 1.
    assert all(ratio < 1.4 for ratio in grown.values()), grown
