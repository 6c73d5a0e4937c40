"""What can be drawn besides the defaults: maps, regions, words, ways, matrices, slices, files."""

import csv
import html
import io
import itertools
import math
import re
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from ig_tf.errors import ResultsError
from ig_tf.rendering import (
    alignment, ansi, card, check_view, curves, export, global_view, image, maps, notebook, palette,
    regions, scales, scene, script, slices, strips, table, text, views, waterfall)
from ig_tf.rendering.look import VIEWS, Look
from ig_tf.rendering.report import render
from ig_tf.run import pieces, results
from ig_tf.run.results import About, PointScores, Result, Target

GREEN_RED = palette.PALETTES["green-red"]


def example(points=(), **changes):
    return Result(**{**dict(
        id="1", status="converged", target=Target("p", 1, "yes"), prediction=0.9,
        baseline_prediction=0.2, completeness_error=0.001, relative_error=0.0014,
        points=points), **changes})


def picture(scores, **inputs):
    point = PointScores("image", "image", scores, None, ("image",))
    return example([point], inputs=inputs)


def words(tokens, scores, name="words"):
    return PointScores(name, "tokens", np.array(scores, np.float64), tokens, ("text",))


# Maps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape, first", [
    ((3, 32, 32), True), ((1, 8, 8), True), ((32, 32, 3), False), ((4, 4, 7), False),
    ((3, 64, 4), False), ((32, 32), False), ((5, 32, 32), False)])
def test_channel_order(shape, first):
    assert maps.channels_first(shape) is first


def test_channels_first_gives_the_same_picture():
    random = np.random.default_rng(0)
    scores, rgb = random.normal(size=(16, 12, 3)), random.integers(0, 256, (16, 12, 3))
    last = image.plate(picture(scores).points[0], picture(scores, image=rgb))
    turned = np.moveaxis(scores, -1, 0)
    first = image.plate(picture(turned).points[0],
                        picture(turned, image=np.moveaxis(rgb, -1, 0)))
    assert last.pictures
    for (_, _, a), (_, _, b) in zip(last.pictures, first.pictures, strict=True):
        np.testing.assert_array_equal(a, b)
    assert "read as the first axis" in first.caption


def test_the_channel_of_the_largest_size_keeps_its_sign():
    scores = np.array([[[1.0, -3.0, 2.0], [0.5, 0.25, 0.0]]])
    np.testing.assert_array_equal(maps.signed_map(scores, "largest"), [[-3.0, 0.5]])


@pytest.mark.parametrize("width", [0.5, 1.0, 4.0])
def test_blur_keeps_the_sum_and_spreads(width):
    signed = np.zeros((21, 17))
    signed[10, 8], signed[0, 0] = 1.0, -0.5
    smooth = maps.smooth(signed, width)
    assert smooth.sum() == pytest.approx(0.5)
    assert smooth[10, 8] < 1 and smooth[10, 9] > 0
    np.testing.assert_allclose(maps.smooth(np.full((2, 3), 7.0), width), 7.0)
    assert maps.smooth(signed, 0) is signed


def test_polarity_and_mass():
    signed = np.array([[4.0, -3.0, 2.0, -1.0, math.nan]])
    for polarity, kept in (("positive", [4, 0, 2, 0, 0]), ("negative", [0, -3, 0, -1, 0])):
        np.testing.assert_array_equal(maps.drawn(signed, Look(polarity=polarity)), [kept])
    # 4 + 3 are 70 % of 10.
    np.testing.assert_array_equal(maps.drawn(signed, Look(mass=70)), [[4, -3, 0, 0, 0]])
    np.testing.assert_array_equal(maps.drawn(signed, Look(mass=71)), [[4, -3, 2, 0, 0]])
    assert not maps.drawn(signed, Look(mass=0)).any()


def test_clean_up_fills_holes_and_drops_specks():
    signed = np.zeros((20, 20))
    signed[2:11, 2:11] = 1.0
    signed[6, 6] = 0.0  # a hole
    signed[16, 16] = -1.0  # a speck
    cleaned = maps.cleaned(signed, 1)
    expected = np.zeros((20, 20))
    expected[2:11, 2:11] = 1.0
    np.testing.assert_array_equal(cleaned, expected)


# Regions -------------------------------------------------------------------------------------


def flooded(mask):
    """Regions by flood fill, the slow way: sets of pixels that touch."""
    left, found = set(map(tuple, np.argwhere(mask))), []
    while left:
        region, edge = set(), [left.pop()]
        while edge:
            i, j = edge.pop()
            region.add((i, j))
            near = {(i + a, j + b) for a, b in itertools.product((-1, 0, 1), repeat=2)} & left
            left -= near
            edge += near
        found.append(frozenset(region))
    return set(found)


@pytest.mark.parametrize("seed, share", [(0, 0.3), (1, 0.5), (2, 0.6), (3, 0.05), (4, 1.0)])
def test_labels_are_those_of_a_flood_fill(seed, share):
    mask = np.random.default_rng(seed).random((23, 31)) < share
    numbers, count = regions.labelled(mask)
    assert ((numbers > 0) == mask).all() and count == numbers.max()
    found = {frozenset(map(tuple, np.argwhere(numbers == n))) for n in range(1, count + 1)}
    assert found == flooded(mask)


def test_labels_of_nothing():
    numbers, count = regions.labelled(np.zeros((4, 5), bool))
    assert count == 0 and not numbers.any() and numbers.shape == (4, 5)


def test_the_largest_regions_by_their_share():
    signed = np.zeros((5, 9))
    signed[0:2, 0:2] = 1.0  # mass 4
    signed[4, 4:7] = 1.0  # mass 3
    signed[0, 8] = 2.0  # mass 2
    assert regions.largest(signed, 40).sum() == 4
    assert regions.largest(signed, 45).sum() == 7
    assert regions.largest(signed, 100).sum() == 8
    assert not regions.largest(np.zeros((3, 3)), 90).any()


def test_an_outline_goes_around_within_the_region():
    mask = np.zeros((9, 9), bool)
    mask[1:8, 1:8] = True
    line = regions.outline(mask, 2)
    inner = np.zeros((9, 9), bool)
    inner[3:6, 3:6] = True
    np.testing.assert_array_equal(line, mask & ~inner)
    assert regions.outline(np.ones((4, 4), bool), 1).sum() == 12  # the picture's edge counts


# Views ---------------------------------------------------------------------------------------


def test_known_map_gives_known_pixels_in_every_view():
    signed = np.array([[1.0, -2.0, 0.0]])
    grey = np.full((1, 3, 3), 100, np.uint8)
    heat = views.heat(signed, grey, 2.0, GREEN_RED)
    # Half of (0, 158, 115) and half of the paper, 245; all of (213, 60, 20); the paper.
    assert heat[0].tolist() == [[122, 202, 180], [213, 60, 20], [245, 245, 245]]
    assert views.mask(signed, grey, 2.0, GREEN_RED)[0, :, 0].tolist() == [71, 100, 0]
    outlined = views.outlines(signed, grey, 2.0, GREEN_RED)
    assert outlined[0].tolist() == [[0, 158, 115], [213, 60, 20], [100, 100, 100]]


def test_palettes_colour_by_their_first_name():
    for name, colours in palette.PALETTES.items():
        assert name == f"{colours.positive_name}-{colours.negative_name}"
        heat = views.heat(np.array([[1.0, -1.0]]), np.zeros((1, 2, 3), np.uint8), 1.0, colours)
        assert heat[0].tolist() == [list(colours.positive), list(colours.negative)]
        source = render([picture(np.ones((2, 2)))], About(), look=Look(palette=name))
        assert f"+ {colours.positive_name}" in source and f"− {colours.negative_name}" in source


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scores", [
    np.zeros((8, 8)), np.full((8, 8, 3), np.nan), np.full((2, 2), np.inf), np.array([[0.5]]),
    np.full((700, 900, 1), 1e-300), np.full((1, 5000), 1e300), np.zeros((0, 0, 3)),
    np.float64(1), np.full((3, 40, 40), -1e308), np.full((2, 3), 5e-324)],
    ids=["zero", "nan", "inf", "pixel", "tiny", "huge", "empty", "scalar", "overflow", "denormal"])
@pytest.mark.parametrize("look", [
    Look(views=VIEWS), Look(views=VIEWS, blur=2, clean=1, mass=60, polarity="positive"),
    Look(views=("outlines",), polarity="negative", channels="largest", clip=100, scale="set")],
    ids=["plain", "worked", "negative"])
def test_every_view_of_any_map(scores, look):
    """Nothing crashes; scale or its absence is said in the picture."""
    row = picture(scores)
    source = render([row], About(), look=look)
    assert re.search(r"Full colour from ±|nothing to colour|no pixels|no finite score", source)
    for _, made in export.drawings(row, look):
        assert scene.png(made, look.colours)[:4] == b"\x89PNG"
        xml.etree.ElementTree.fromstring(scene.svg(made, look.colours))


@pytest.mark.parametrize("wrong", [
    {"palette": "rainbow"}, {"polarity": "up"}, {"views": ("x-ray",)}, {"views": ()},
    {"clip": 101}, {"mass": -1}, {"blur": math.nan}, {"clean": 21}, {"scale": "x"}])
def test_a_look_that_there_is_not(wrong):
    with pytest.raises(ResultsError):
        Look(**wrong)


def test_one_scale_for_the_set():
    rows = [example([words(["a", "b"], [1.0, -4.0])], id="1"),
            example([words(["a"], [2.0])], id="2")]
    look = scales.shared(rows, Look(scale="set"))
    assert look.scales["words"] == 4.0
    drawn = text.figure(rows[1].points[0], look)
    assert "--s:0.500" in drawn and "the same for all examples" in drawn
    assert "--s:1.000" in text.figure(rows[1].points[0])


# Words ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("tokens, shown", [
    (["[CLS]", "un", "##aff", "##able", "man", "[SEP]", "[PAD]", "[PAD]"],
     ["[CLS]", "unaffable", "man", "[SEP]", "[PAD]"]),
    (["<s>", "▁un", "believ", "able", "▁!", "</s>"], ["<s>", "unbelievable", "!", "</s>"]),
    (["Hello", "Ġwor", "ld", "!"], ["Hello", "world!"]),
    (["un@@", "believ@@", "able", "man"], ["unbelievable", "man"]),
    (["un", "able</w>", "man</w>"], ["unable", "man"]),
    (["plain", "words", "#", "##"], ["plain", "words", "#", "##"]),
    (["▁東京", "は", "晴れ"], ["東京", "は", "晴れ"]),
    (["中", "##国", "a", "##b"], ["中", "国", "ab"]),
    (["▁", "▁a"], ["▁", "a"]),
    ([7, 8, 9], [7, 8, 9]),
    (["a", 5, "##b"], ["a", 5, "b"]),
    ([], [])])
def test_pieces_become_words(tokens, shown):
    scores = 2.0 ** np.arange(len(tokens))
    found = pieces.cut(tokens, scores)
    assert [piece.text for piece in found] == shown
    # Powers of two: a sum tells which scores are in it.
    assert [piece.score for piece in found] == [
        scores[piece.start:piece.stop].sum() for piece in found]
    assert sum(piece.score for piece in found) == scores.sum()
    assert [(p.start, p.stop) for p in pieces.cut(tokens, scores, merge=False)
            if p.kind != "pad"] == [(i, i + 1) for i, t in enumerate(tokens) if t != "[PAD]"]


def test_special_tokens_are_kept_and_set_apart():
    drawn = text.figure(words(["[CLS]", "good", "##ish", "[SEP]"], [0.5, 1.0, 0.25, -0.125]))
    assert drawn.count("special") == 2 and "[CLS] +0.5" in drawn
    assert "good +1 + ##ish +0.25" in drawn and "1 word is put together" in drawn
    assert "WordPiece" in drawn


# Ways and bars -------------------------------------------------------------------------------


def test_a_way_goes_from_the_baseline_to_the_prediction():
    row = example(features={f"f{i}": 0.7 / 20 for i in range(19)} | {"g": -0.1})
    found = waterfall.steps(row, table.feature_bars(row))
    assert found[0].stop == 0.2 and found[-1].stop == 0.9
    assert all(a.stop == pytest.approx(b.start) for a, b in zip(found[:-1], found[1:]))
    gap = found[-2]
    assert gap.kind == "gap" and gap.score == pytest.approx(0.7 - (19 * 0.7 / 20 - 0.1))
    assert sum(step.score for step in found) == pytest.approx(0.7)
    assert [step.name for step in found].count("8 others, summed") == 1


def test_a_way_without_a_gap_and_none_at_all():
    row = example(features={"a": 0.5, "b": 0.2})
    assert [step.kind for step in waterfall.steps(row, table.feature_bars(row))] == [
        "end", "step", "step", "end"]
    assert waterfall.steps(example(features={"a": math.nan}),
                           [table.Bar("a", "", math.nan)]) == []
    lost = example(features={"a": 1.0, "b": 2.0}, prediction=None)
    assert "− against | for +" in waterfall.figure(lost, table.feature_bars(lost))
    still = example(features={"a": 0.0, "b": 0.0}, prediction=0.2)
    assert "NaN" not in waterfall.figure(still, table.feature_bars(still))


def test_what_belongs_to_no_feature_is_a_bar_of_its_own():
    point = PointScores("mixed", "pooled", [0.25, 0.25], None, ("a", "b"))
    own = PointScores("a", "dense", [0.2], None, ("a",))
    found = table.feature_bars(example([point, own], features={"a": 0.2}))
    assert [(bar.name, bar.score) for bar in found] == [
        ("a", 0.2), ("(of no single feature)", pytest.approx(0.5))]
    assert len(table.feature_bars(example([own], features={"a": 0.2}))) == 1


# Matrices ------------------------------------------------------------------------------------


def test_an_alignment_has_a_square_for_each_score():
    scores = np.array([[1.0, -0.25, 0.0], [0.0, math.nan, 0.5]])
    made = alignment.scene(scores, ["le", "chat", "noir"], ["the", "cat"])
    squares = [m for m in made.marks if isinstance(m, scene.Rect) and m.words]
    assert [(m.fill, m.words) for m in squares] == [
        ("for", "the ← le: +1"), ("against", "the ← chat: −0.25"), ("for", "cat ← noir: +0.5")]
    areas = [m.width * m.height for m in squares]
    assert areas[1] / areas[0] == pytest.approx(0.25) and areas[2] / areas[0] == pytest.approx(0.5)
    assert any("without a finite score" in m.words for m in made.marks if isinstance(m, scene.Text))


def test_an_alignment_of_any_size():
    for lines, columns in ((0, 0), (1, 0), (0, 3), (500, 700)):
        made = alignment.scene(np.ones((lines, columns)), list(range(columns)),
                               [str(i) for i in range(lines)])
        assert scene.png(made, GREEN_RED)[:4] == b"\x89PNG"
    assert any("60 of 500 outputs" in m.words for m in made.marks if isinstance(m, scene.Text))
    with pytest.raises(ResultsError):
        alignment.scene(np.ones((2, 2)), ["a"], ["b", "c"])


def test_rows_of_one_example_make_a_matrix_in_its_first_card():
    rows = [example([words(["a", "b"], [i, -i])], id="7", target=Target("y", (i, 3)))
            for i in range(3)] + [example([words(["c"], [1.0])], id="8")]
    scores, tokens, outputs = alignment.gathered(rows[:3])
    np.testing.assert_array_equal(scores, [[0, 0], [1, -1], [2, -2]])
    assert tokens == ("a", "b") and outputs == ("y[0,3]", "y[1,3]", "y[2,3]")
    source = render(rows, About())
    assert source.count("outputs of this example") == 1
    assert source.index("outputs of this example") < source.index('id="example-2"')
    assert alignment.gathered([rows[0], rows[3]]) is None


def test_classes_of_a_table_make_a_matrix_of_features():
    rows = [example(features={"a": 1.0, "b": i}, target=Target("p", i, f"class {i}"))
            for i in range(2)]
    scores, columns, outputs = alignment.gathered(rows)
    np.testing.assert_array_equal(scores, [[1, 0], [1, 1]])
    assert columns == ("a", "b") and outputs == ("class 0", "class 1")
    assert [name for name, _ in export.of_set(rows)] == ["features", "1_outputs"]


# The set -------------------------------------------------------------------------------------


def tabular(count=40):
    return [example(id=str(i), target=Target("p", i % 2), inputs={"age": i, "job": "ab"[i % 2]},
                    features={"age": i / 10, "job": (-1.0) ** i}) for i in range(count)]


def test_slices_by_target_text_and_number():
    rows = tabular()
    by_job = slices.by(rows, "job")
    assert [(part.name, len(part.results)) for part in by_job] == [("a", 20), ("b", 20)]
    assert by_job[0].means() == {"age": pytest.approx(1.9), "job": 1.0}
    parts = slices.by(rows, "age")
    assert sorted(sum(([r.id for r in p.results] for p in parts), []), key=int) == [
        str(i) for i in range(40)]
    assert [len(part.results) for part in parts] == [10, 10, 10, 10]
    assert parts[0].name == "0 to 10"
    assert [part.name for part in slices.by(rows, "target")] == ["p[0]", "p[1]"]
    with pytest.raises(ResultsError, match="'wage'.*age, job"):
        slices.by(rows, "wage")
    source = render(rows, About(), by=["target", "job"])
    assert "By target" in source and "By job" in source


def test_words_over_the_set():
    rows = [example([words(["good", "##ish", "x"], [1.0, 0.5, 0.1])], id="1"),
            example([words(["goodish", "y"], [0.5, -2.0])], id="2"),
            example([words(["y", "z"], [-1.0, 0.0])], id="3"),
            example([words(["y"], [-9.0])], id="4")]
    assert slices.word_means(rows, Look()) == [("y", -1.5, 2), ("goodish", 1.0, 2)]


def test_strips_place_each_example():
    scores = np.array([-2.0, 0.0, 1.0, 1.0, 1.0])
    placed = strips.swarm(scores, 2.0, 10)
    assert [x for x, _ in placed] == [-1, 0, 0.5, 0.5, 0.5]
    assert len({y for _, y in placed[2:]}) == 3  # dots of one place do not hide each other
    crowd = strips.swarm(np.zeros(1000), 1.0, 10)
    assert max(abs(y) for _, y in crowd) <= 10
    made = strips.scene(tabular(2000), ["age", "none"], "legend")
    assert any("every 5th example" in m.words for m in made.marks if isinstance(m, scene.Text))
    dots = [len(m.points) for m in made.marks if isinstance(m, scene.Dots)]
    assert sum(dots) == 400


def test_mean_maps_are_means():
    rows = [picture(np.full((2, 2), v)) for v in (1.0, 3.0)]
    (target, name, mean, count), = global_view.mean_maps(rows)
    assert (target, name, count) == ("yes", "image", 2)
    np.testing.assert_array_equal(mean, np.full((2, 2), 2.0))
    assert global_view.mean_maps([*rows, picture(np.ones((3, 3)))]) == []
    assert "Where it looks, on average" in render(rows, About())


# Checks --------------------------------------------------------------------------------------

CHECK = {"passed": False, "tolerance": 0.05, "steps": 50, "alphas": [0, 0.1, 0.5, 1],
         "rows": [{"id": "3", "status": "capped", "relative_error": 0.4, "path": [0, 0.9, 1, 1],
                   "errors": [[50, 0.4], [100, 0.1], [200, 0.01]]},
                  {"id": "4", "status": "converged", "relative_error": 0.01, "path": None}],
         "trials": [{"flags": "--target=logits", "errors": [0.01], "doubled": [0.002]}],
         "advice": ["More nodes help: --steps=200 (now 50)."]}


def test_a_check_is_shown_with_its_curves():
    shown = check_view.figure(CHECK)
    for said in ("FAIL", "1 of 2 examples are within 5 %", "--steps=200", "--target=logits",
                 "F along the path, example 3", "completeness error over steps, example 3",
                 "half of the change: 0 % to 10 % of the way"):
        assert said in shown, said
    assert "Check" in render([], About(), check=CHECK)


@pytest.mark.parametrize("check", [
    {"rows": None}, {"rows": [1, {}]}, {"rows": [{"path": [1]}], "alphas": [0]},
    {"rows": [{"path": [math.nan, None], "errors": [[0, 1]]}], "alphas": [0, 1]},
    {"trials": [3], "advice": ["<script>"]}, {"tolerance": "x", "steps": "y"}])
def test_a_check_with_anything_missing(check):
    assert "<script>" not in check_view.figure(check)


def test_a_path_curve_is_where_f_is():
    made = curves.path_scene([0, 0.5, 1], [1.0, 1.0, 3.0], "t")
    line = next(m for m in made.marks if isinstance(m, scene.Line) and m.width == 2)
    xs, ys = zip(*line.points)
    assert xs[1] - xs[0] == pytest.approx(xs[2] - xs[1])
    assert ys[0] == ys[1] > ys[2]
    assert any("50 % to 100 %" in m.words for m in made.marks
               if isinstance(m, scene.Text))


# Terminals and files -------------------------------------------------------------------------


def plain(coloured):
    """The text of a terminal, and its escapes."""
    return re.sub(r"\x1b\[[0-9;]*m", "", coloured), re.findall(r"\x1b\[[0-9;]*m", coloured)


def test_a_terminal_gets_colours_signs_and_numbers():
    row = example([words(["good", "bad", "so", "<pad>", "<pad>"], [1.0, -0.3, 0, 0, 0])])
    said, escapes = plain(ansi.render([row], About(model="m")))
    assert "good bad so ‹2 × <pad>›" in said and "p[1] [yes]" in said and "adds up" in said
    assert "full colour at ±1" in said and "+ green: for the target" in said
    assert "\x1b[48;2;0;158;115m" in escapes and escapes.count("\x1b[4m") == 1
    without = ansi.render([row], About(), colour=False)
    assert "\x1b" not in without and "good(+1) bad(−0.3) so ‹" in without
    bars, _ = plain(ansi.render([example(features={"up": 1.0, "down": -0.5})], About()))
    assert re.search(r"up +│█{24} +\+1", bars) and re.search(r"down +█{12}│ +−0\.5", bars)


def test_a_terminal_image_has_a_half_block_a_pixel():
    drawn = ansi.render([picture(np.array([[1.0, 0.0], [0.0, -1.0]]))], About())
    assert "\x1b[38;2;0;158;115m\x1b[48;2;24;24;24m▀" in drawn
    assert "\x1b[38;2;24;24;24m\x1b[48;2;213;60;20m▀" in drawn


HOSTILE = "\x1b]0;owned\x07\x1b[2J<script>\u202e=HYPERLINK(\"x\")\r\n"


def test_a_terminal_obeys_no_token():
    row = example([words([HOSTILE, "a"], [1.0, 1.0], HOSTILE)], id=HOSTILE, message=HOSTILE,
                  target=Target(HOSTILE, 1, HOSTILE), features={HOSTILE: 1.0, "b": 1.0},
                  inputs={HOSTILE: HOSTILE})
    said, _ = plain(ansi.render([row], About(model=HOSTILE, target=HOSTILE, baseline=HOSTILE)))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f\u202e]", said)


def test_files_hold_every_score(tmp_path):
    row = example([words(["=1+1", HOSTILE], [1.5, -0.25])], id="../../x", features={"text": 1.25})
    path, = export.write([row], str(tmp_path / "new"), "csv")
    assert path.parent == tmp_path / "new" and path.name == "1_x_scores.csv"
    lines = list(csv.DictReader(io.StringIO(path.read_text("utf-8"))))
    assert [float(line["score"]) for line in lines] == [1.5, -0.25, 1.25]
    assert lines[0]["token"] == "'=1+1"
    assert not [cell for line in lines for cell in line.values()
                if cell[:1] in ("=", "@", "+") or "\x1b" in cell]


@pytest.mark.parametrize("kind, start", [("png", b"\x89PNG"), ("svg", b"<?xml")])
def test_a_file_for_each_picture(tmp_path, kind, start):
    rows = [picture(np.random.default_rng(0).normal(size=(8, 8)), image=np.ones((8, 8))),
            example([words(["good", HOSTILE], [1.0, -1.0])], id=HOSTILE),
            example(features={"a": 0.5, "b": 0.2}), example()]
    written = export.write(rows, str(tmp_path), kind)
    assert len(written) == 3
    for path in written:
        assert path.read_bytes().startswith(start)
        assert re.fullmatch(r"[A-Za-z0-9_.-]+", path.name)


def test_a_drawing_says_class_score_error_legend_and_scale():
    row = picture(np.array([[1.7, -1.0]]))
    (_, made), = export.drawings(row)
    said = " ".join(mark.words for mark in made.marks if isinstance(mark, scene.Text))
    for expected in ("p[1] [yes] 0.9", "baseline 0.2", "completeness error 0.001", "adds up",
                     "+ for the target", "− against the target", "full colour at ±1.7"):
        assert expected in said, expected
    drawn = np.asarray(Image.open(io.BytesIO(scene.png(made, GREEN_RED))))
    for colour in (GREEN_RED.positive, GREEN_RED.negative):
        assert (drawn == colour).all(axis=2).any()


def test_signals_and_vectors_are_files_too():
    sound = PointScores("sound", "dense", np.full((1000, 1), 0.0007), None, ("sound",))
    (name, made), = export.drawings(example([sound], features={"sound": 0.7}))
    bars = [m for m in made.marks if isinstance(m, scene.Rect)]
    assert name == "sound" and len(bars) == 300 and {m.fill for m in bars} == {"for"}
    vector = PointScores("x", "dense", [0.5, -0.1, 0.3], None, ("x",))
    (name, made), = export.drawings(example([vector], features={"x": 0.7}))
    said = [m.words for m in made.marks if isinstance(m, scene.Text)]
    assert name == "features" and "[0]" in said and "[2]" in said


def test_a_contact_sheet_has_every_image():
    rows = [picture(np.ones((4, 6))) for _ in range(7)]
    made = export.sheet(rows, columns=3, side=60)
    rasters = [m for m in made.marks if isinstance(m, scene.Raster)]
    assert [m.rgb.shape for m in rasters] == [(40, 60, 3)] * 7
    assert len({(m.x, m.y) for m in rasters}) == 7
    with pytest.raises(ResultsError, match="none"):
        export.sheet([example()])


def test_curves_of_a_check_are_files_too(tmp_path):
    written = export.write([], str(tmp_path), "svg", check=CHECK)
    assert [path.name for path in written] == ["all_check_1.svg", "all_check_2.svg"]
    assert b"F along the path, example 3" in written[0].read_bytes()


def test_drawings_escape_text():
    made = scene.Scene(10, 10, (scene.Text(0, 0, "<script>&\u202e"),), "<b>\"")
    tree = xml.etree.ElementTree.fromstring(scene.svg(made, GREEN_RED))
    found = [node.text for node in tree.iter() if node.text]
    assert "<script>&\\u202e" in found and '<b>"' in found


# Notebooks -----------------------------------------------------------------------------------


def framed(markup):
    """What a frame of a notebook holds, as its browser reads it."""
    return html.unescape(re.fullmatch('<iframe sandbox="" .* srcdoc="(.*)" style="[^"]*"></iframe>',
                                      markup, re.S).group(1))


def test_a_notebook_draws_rows_in_a_frame_that_runs_nothing(tmp_path):
    row = example([words([HOSTILE, "good"], [0.2, 0.5])])
    shown = framed(row._repr_html_())
    assert shown.count("<article") == 1 and "&lt;script&gt;" in shown and "default-src" in shown
    results.write(tmp_path / "r.jsonl", [row, example(id="2")], About(model="model of mine"))
    about, rows = results.read(tmp_path / "r.jsonl")
    assert rows.about == about and "model of mine" in framed(rows._repr_html_())
    assert render(rows) == render(list(rows), about)
    outputs = framed(results.Results([row, row])._repr_html_())
    assert "How to read" not in outputs and outputs.count("<article") == 2
    many = results.Results([example(id=str(i)) for i in range(25)], About())._repr_html_()
    assert many.endswith("<p>The first 20 of 25; ig_tf.render(results) draws all.</p>")
    red = notebook.show(row, Look(palette="red-blue"))._repr_html_()
    assert "+ red" not in red and "Red, solid underline" in red


# The page ------------------------------------------------------------------------------------


def test_beside_draws_the_other_row_or_says_that_there_is_none():
    rows = [picture(np.ones((2, 2))), example(id="2")]
    other = card.Beside("one step", {"1": picture(-np.ones((2, 2)))})
    source = render(rows, About(), beside=other)
    assert source.count("Beside it: one step") == 1
    assert "one step has no example of this id" in source


def test_the_script_is_the_one_that_the_policy_names():
    source = render([example(id=str(i)) for i in range(script.LEAST)], About())
    assert script.HASH in source and source.count("<script>") == 1
    inside = re.search("<script>(.*?)</script>", source, re.S).group(1)
    assert inside == script.SCRIPT and "innerHTML" not in inside
    assert "<script" not in render([example()], About())
