"""Checks whether the attributions of an instrumented SavedModel can be believed.

  ig-tf check --model=OUT --input=FILE

Per example: the completeness error against --tolerance, the number of nodes that would bring it
there, F along the path where it fails; and what else was tried and worked. Then whether examples
of a batch get what they get alone, and stay what they are where one of them is moved. The status is
1 where an example fails.
"""

import dataclasses
import json
import sys

from absl import flags

from tools import model_flags, program

model_flags.define_libraries()
model_flags.define_trust()
flags.adopt_module_key_flags(model_flags)

_MODEL = flags.DEFINE_string("model", None, "Directory that `ig-tf instrument` wrote.",
                             required=True)
_INPUT = flags.DEFINE_string("input", None, "File of inputs.", required=True)
_LIMIT = flags.DEFINE_integer("limit", 16, "Check so many records.", lower_bound=1)
_TOLERANCE = flags.DEFINE_float("tolerance", 0.05, "Relative completeness error that is accepted.",
                                lower_bound=0)
_STEPS = flags.DEFINE_integer("max_steps", 4096, "Try at most so many nodes.", lower_bound=1)
_SANITY = flags.DEFINE_bool("sanity", False, "Also with random weights, and from three baselines.")
_BASELINES = flags.DEFINE_bool("baselines", False, "Also try baselines and rank them. A changed "
                               "baseline changes the question that is asked.")
_BASELINES_TO = flags.DEFINE_string("baselines_to", None, "Folder to write those baselines to that "
                                    "are arrays, for `ig-tf instrument --baseline=FILE.npz`.")
_ATTRIBUTIONS = flags.DEFINE_string(
    "attributions", None, "Attributions of the same records, in their order, computed elsewhere: "
    "results of `ig-tf attribute`, or an .npz with an array for each point.")
_FORMAT = flags.DEFINE_enum("format", "text", ["text", "json"], "For people or for programs.")


def main(_):
    model_flags.load_libraries()
    from ig_tf.checking import BASELINES, SANITY, check
    from ig_tf.run import checks
    found = check(_MODEL.value, _INPUT.value, _LIMIT.value, _TOLERANCE.value, _STEPS.value,
                  say=lambda text: print(f"... {text}", file=sys.stderr),
                  also=[name for name, asked in ((SANITY, _SANITY.value),
                                                 (BASELINES, _BASELINES.value)) if asked],
                  attributions=_ATTRIBUTIONS.value, baselines_to=_BASELINES_TO.value,
                  allow_unsafe_ops=flags.FLAGS.allow_unsafe_ops)
    if _FORMAT.value == "json":
        print(json.dumps({**dataclasses.asdict(found), "passed": found.passed,
                          "alphas": checks.ALPHAS}, indent=1))
    else:
        print(checks.text(found))
    return 0 if found.passed else 1


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
