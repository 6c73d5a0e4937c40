"""Instruments a prepared model by a setting, in a process of its own.

  python -m tools.benchmarks.instrument WORK_DIR MODEL SETTING NODES

Prints one line of JSON: {"metadata": ..., "seconds": ...} or {"lacking": reason}.
"""

import json
import sys
import time

from tools.benchmarks import models, settings, workplace


def instrument(where, setting, nodes):
    """The artifact of a `Place`, made anew.

    Returns:
      {"metadata", "seconds"}.

    Raises:
      settings.Lacking: this version of ig_tf has no such option.
    """
    from ig_tf import api
    examples = where.examples()["inputs"]
    sample = examples[models.MEASURED:]  # none of those that errors are measured on
    model = api.load(where.saved_model)
    [name] = model.signature.inputs
    chosen = settings.SETTINGS[setting].arguments(nodes, {name: sample})
    target = where.model.output + ("" if where.model.classes == 1 else ":top")
    began = time.perf_counter()
    plan = api.instrument(model, target=target, **chosen)
    metadata = api.save(plan, where.instrumented(setting), link=True, overwrite=True)
    return {"metadata": metadata, "seconds": time.perf_counter() - began}


def main():
    where = workplace.place(sys.argv[1], sys.argv[2])
    try:
        answer = instrument(where, sys.argv[3], int(sys.argv[4]))
    except settings.Lacking as reason:
        answer = {"lacking": str(reason)}
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
