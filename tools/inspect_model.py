"""Shows what a model takes and gives, and where it can be attributed to. Runs nothing.

  ig-tf inspect --model=MODEL [--signature=NAME] [--target=OUTPUT:INDEX] [--format=json]
"""

import json
import sys

from absl import flags

from tools import model_flags, program

model_flags.define_choice()
flags.adopt_module_key_flags(model_flags)
_FORMAT = flags.DEFINE_enum("format", "text", ["text", "json"], "For people or for programs.")


def main(_):
    from ig_tf import api, describe
    from ig_tf.errors import PointError, TargetError
    values = flags.FLAGS
    model = model_flags.load()
    if _FORMAT.value == "text":
        print(describe.signatures_text(model))
        print(describe.feeds_text(model.feeds, model.fixes), end="")
        for note in model.chosen:
            print(f"  chosen: {note}")
    try:
        located = api.locate(model, values.target, model_flags.points(values.points))
    except (TargetError, PointError) as error:
        if _FORMAT.value == "json":
            raise
        print(f"\nno attribution as it stands: {error}")
        return 1
    described = {"signature": model.signature_name, "tags": list(model.tags),
                 "choices": list(model.chosen),
                 "target": located.target.text(),
                 "feeds": [feed.described() for feed in model.feeds],
                 "fixes": [fix.described() for fix in model.fixes],
                 "points": [point.described() for point in located.cut.points],
                 "held_constant": list(located.cut.held_constant),
                 "misses": list(located.cut.misses)}
    if _FORMAT.value == "json":
        print(json.dumps(described, indent=1, sort_keys=True))
        return 0
    print(f"\ntarget {described['target']}")
    print("\n".join(describe.points_text(described["points"])))
    for title, key in (("held constant", "held_constant"), ("near misses", "misses")):
        if described[key]:
            print(f"\n{title}:\n  " + "\n  ".join(described[key]))
    return 0


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
