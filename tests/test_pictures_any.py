"""Anything that a results file can hold is drawn, in any look, without an error or a warning."""

import random
import warnings
import xml.etree.ElementTree

import numpy as np
import pytest

from ig_tf.errors import ResultsError
from ig_tf.rendering import ansi, export, notebook, scene
from ig_tf.rendering.look import CHANNELS, POLARITIES, SCALES, VIEWS, WORDS, Look
from ig_tf.rendering.palette import PALETTES
from ig_tf.rendering.report import render
from ig_tf.run.results import KINDS, STATUSES, About, PointScores, Result, Target

SEEDS = 60

VALUES = ("x", "", None, 3, 2.5, float("nan"), [1, 2], {"base64": "xx"}, {"a": {"b": 1}},
          np.zeros((2, 3)), np.zeros((3, 8, 9)), b"\xff", True, "\u202e<script>", "日本", [],
          [[1], [2, 3]], np.float32(3), 10**30)
TOKENS = ("a", "##b", "▁c", "[CLS]", "<pad>", "", 0, -1, 5, "Ġx", "y@@", "\ud800", "שלום", "日",
          "z</w>", "▁", "##", 2**70, "<b>")
NUMBERS = (None, 0.0, 1.0, -3.5, 1e308, -1e308, float("nan"), 0.3, 1e-320)
TOTALS = (0.0, 1.0, -2.0, float("nan"), 1e308, float("inf"))
SIDES = (0, 1, 2, 3, 8, 30, 400)
LARGEST = 200_000


def scores(luck, shape):
    """Normal, zero, huge, tiny, with something that is no number, or of half precision."""
    made = np.random.default_rng(luck.randrange(10**6)).normal(size=shape)
    if luck.random() < 0.2 and made.size:
        made.flat[luck.randrange(made.size)] = luck.choice([np.nan, np.inf, -np.inf])
    with np.errstate(invalid="ignore"):
        return luck.choice([made, made * 0, made * 1e300, made * 1e-320, np.full(shape, np.nan),
                            np.asarray(made, np.float16)])


def point(luck, number):
    kind, name, tokens = luck.choice(KINDS), f"p{number}", None
    if kind == "tokens":
        tokens = [luck.choice(TOKENS) for _ in range(luck.randrange(8))]
        shape = (len(tokens),) + ((2,) if luck.random() < 0.2 else ())
    else:
        shape = tuple(luck.choice(SIDES) for _ in range(luck.randrange(4)))
        shape = shape if np.prod(shape) <= LARGEST else shape[:1]
    return PointScores(name, kind, scores(luck, shape), tokens, (f"f{number}",))


def row(luck, number):
    numbers = {name: luck.choice(NUMBERS) for name in (
        "prediction", "baseline_prediction", "completeness_error", "relative_error")}
    return Result(
        id=luck.choice(["a", "b", str(number)]), status=luck.choice(STATUSES),
        target=Target(luck.choice(["", "p"]), luck.choice([None, 1, (1, 2)]),
                      luck.choice([None, "", "yes"])),
        points=[point(luck, i) for i in range(luck.randrange(4))],
        features={f"f{i}": luck.choice(TOTALS) for i in range(luck.randrange(4))},
        inputs={f"f{i}": luck.choice(VALUES) for i in range(luck.randrange(5))}, **numbers)


def any_look(luck):
    return Look(
        palette=luck.choice(list(PALETTES)), polarity=luck.choice(POLARITIES),
        views=luck.sample(VIEWS, luck.randrange(1, 6)), clip=luck.choice([98, 0, 100]),
        mass=luck.choice([100, 50, 0]), blur=luck.choice([0, 1.5]), clean=luck.choice([0, 1, 3]),
        channels=luck.choice(CHANNELS), scale=luck.choice(SCALES), words=luck.choice(WORDS))


@pytest.mark.parametrize("seed", range(SEEDS))
def test_anything_is_drawn(seed):
    luck = random.Random(seed)
    rows = [row(luck, number) for number in range(luck.randrange(5))]
    look = any_look(luck)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        source = render(rows, About(), look=look, by=["target"])
        assert source.count("<article") == len(rows) and "<script>\u202e" not in source
        ansi.render(rows, About(), look).encode("utf-8")
        assert "\x1b" not in ansi.render(rows, About(), look, colour=False)
        drawings = [made for one in rows for _, made in export.drawings(one, look)]
        for made in drawings + [made for _, made in export.of_set(rows, look)]:
            xml.etree.ElementTree.fromstring(scene.svg(made, look.colours))
            scene.png(made, look.colours)
        for one in rows:
            notebook.html(one, look)
            list(export.rows(one))
        try:
            scene.png(export.sheet(rows, look), look.colours)
        except ResultsError:
            assert not any(p.kind == "image" and p.scores.size for r in rows for p in r.points)
