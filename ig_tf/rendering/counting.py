"""How many examples there are: a file has a row for each target of each example."""

from collections import Counter
from collections.abc import Sequence

from ig_tf.rendering import numerals
from ig_tf.run.results import Result


def examples(results: Sequence[Result]) -> int:
    """The number of examples: rows of one id are one, as far as their targets differ."""
    together: dict[str, Counter] = {}
    for result in results:
        together.setdefault(result.id, Counter())[result.target.text()] += 1
    return sum(max(targets.values()) for targets in together.values())


def examples_text(results: Sequence[Result]) -> str:
    """Such as "3 examples"."""
    return numerals.counted(examples(results), "example")


def explanations_text(results: Sequence[Result]) -> str:
    """What is counted apart where examples are explained for several targets; empty if none is."""
    count = examples(results)
    if count == len(results):
        return ""
    each = len(results) / count
    return (f"{numerals.counted(len(results), 'explanation')}, "
            f"{f'{each:.0f}' if each == int(each) else 'several'} targets for each")


def all_text(results: Sequence[Result]) -> str:
    """Both: such as "3 examples" or "18 explanations of 6 examples"."""
    if examples(results) == len(results):
        return examples_text(results)
    return f"{numerals.counted(len(results), 'explanation')} of {examples_text(results)}"
