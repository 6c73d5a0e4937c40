"""Pictures and the report: known values give known pixels, and hostile text stays text."""

import base64
import html.parser
import io
import math
import re
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ig_tf.rendering import (
    global_view, image, maps, markup, numerals, palette, photo, signal, table, text, views)
from ig_tf.rendering.look import VIEWS, Look
from ig_tf.rendering.report import render
from ig_tf.rendering.verdict import ADDS_UP, DOES_NOT, MISMATCH, NOT_CHECKED, verdict
from ig_tf.run import pieces
from ig_tf.run.results import STATUSES, About, PointScores, Result, Target

WHITE, BLACK = np.full((1, 2, 3), 255, np.uint8), np.zeros((1, 2, 3), np.uint8)
GREEN_RED = palette.PALETTES["green-red"]


def example(points=(), **changes):
    return Result(**{**dict(
        id="1", status="converged", target=Target("probabilities", 1, "positive"), prediction=0.9,
        baseline_prediction=0.2, completeness_error=0.001, relative_error=0.0014,
        points=points), **changes})


class Page(html.parser.HTMLParser):
    """Elements and text of a page; fails where elements are not closed in order."""

    def __init__(self, source):
        super().__init__()
        self.elements, self.words, self._open = [], [], []
        self.feed(source)
        self.close()
        assert not self._open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br", "input"):
            self._open.append(tag)

    def handle_endtag(self, tag):
        assert self._open.pop() == tag

    def handle_data(self, data):
        if not {"style", "script"} & set(self._open):
            self.words.append(data)

    def count(self, tag, class_=None):
        return sum(found == tag and (class_ is None or class_ in marks.get("class", "").split())
                   for found, marks in self.elements)

    @property
    def text(self):
        return "".join(self.words)


def page(results, about=About()):
    return Page(render(results, about))


# Markup and numbers --------------------------------------------------------------------------


@pytest.mark.parametrize("raw, shown", [
    ("<b>&\"'", "&lt;b&gt;&amp;&quot;&#x27;"),
    ("a\u202eb", "a\\u202eb"),
    ("\0\x1b\n\t", "\\u0000\\u001b\\n\\t"),
    ("\u200f\u2066\ufeff\U000e0041", "\\u200f\\u2066\\ufeff\\U000e0041"),
    ("\ud800", "\\ud800"),
    ("\u2028", "\\u2028"),
    ("\ufffe\uffff\U0001fffe", "\\ufffe\\uffff\\U0001fffe"),
    ("naïve 日本 שלום 👩\u200d👧", "naïve 日本 שלום 👩\u200d👧"),
])
def test_escape(raw, shown):
    assert markup.escape(raw) == shown


def test_escape_cuts_long_text_and_says_so():
    assert markup.escape("x" * 1_000_000, 5) == "xxxxx… (1,000,000 characters)"


def test_element_escapes_children_and_attributes_but_not_markup():
    made = markup.element("p", "<", markup.element("b", "&"), None, class_="a", title='"<')
    assert made == '<p class="a" title="&quot;&lt;">&lt;<b>&amp;</b></p>'


@pytest.mark.parametrize("value, shown", [
    (0.93124, "+0.9312"), (-1e-7, "−1e−07"), (0.0, "0"), (math.nan, "not a number"),
    (-math.inf, "−∞"), (None, "–"), (12345.0, "+1.234e+04")])
def test_signed(value, shown):
    assert numerals.signed(value) == shown


@pytest.mark.parametrize("share, shown", [
    (0.05, "5 %"), (0.0123, "1.2 %"), (1e-6, "< 0.01 %"), (0.0, "0 %"), (5.4, "540 %"),
    (math.inf, "∞")])
def test_percent(share, shown):
    assert numerals.percent(share) == shown


@pytest.mark.parametrize("value, shown", [
    (39.0, "39"), ("Sales", "Sales"), ([3.5], "3.5"), (list(range(9)), "0, 1, 2, 3, 4, 5, … "
    "(9 values)"), ([[1, 2], [3, 4]], "array [2, 2]"), (np.zeros((4, 5)), "array [4, 5]"), ([], ""),
    ({"base64": "A" * 4000, "media": "image/png"}, "image/png, 3 kB"), (None, ""),
    (np.float32(0.5), "0.5"), (np.array("x"), "x")])
def test_value_text(value, shown):
    assert numerals.value_text(value) == shown


# Images --------------------------------------------------------------------------------------


def test_known_map_gives_known_pixels():
    drawn = views.overlay(np.array([[1.0, -2.0]]), WHITE, 1.0, GREEN_RED)
    # White becomes 150 + 0.4 * 255 = 252; nine tenths of the full colour lie over it.
    np.testing.assert_array_equal(drawn, [[[25, 167, 129], [217, 79, 43]]])
    half = views.overlay(np.array([[0.5, 0.0]]), BLACK, 1.0, GREEN_RED)
    np.testing.assert_array_equal(half, [[[82, 154, 134], [150, 150, 150]]])


def test_png_holds_the_pixels():
    rgb = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    with Image.open(io.BytesIO(photo.png(rgb))) as opened:
        assert opened.format == "PNG"
        np.testing.assert_array_equal(np.asarray(opened), rgb)


def test_full_colour_is_where_the_mass_below_reaches_the_share():
    """By hand: of 1 + 2 + 3 + 4 the scores up to 3 hold 60 %, those up to 4 all."""
    scores = np.array([[1.0, -2.0], [3.0, -4.0]])
    assert maps.full_colour(scores, 60) == 3.0
    assert maps.full_colour(scores, 61) == 4.0
    assert maps.full_colour(scores, 100) == 4.0
    assert maps.full_colour(scores, 0) == 1.0
    # A pixel with 1 % of all does not hide the others; one with 9 % is what there is to see.
    outlier = np.r_[np.full(990, -1.0), 10.0].reshape(1, -1)
    assert maps.full_colour(outlier, 98) == 1.0
    assert maps.full_colour(np.r_[np.full(990, -1.0), 100.0].reshape(1, -1), 98) == 100.0
    assert maps.full_colour(np.array([[0.0] * 999 + [3.0]]), 98) == 3.0
    assert maps.full_colour(np.array([[math.nan, math.inf, -2.0]]), 98) == 2.0
    assert maps.full_colour(np.full((9, 9), 1e308), 98) == 1e308
    assert maps.full_colour(np.zeros((3, 3)), 98) == 0.0
    assert maps.full_colour(np.zeros((0, 3)), 98) == 0.0


def test_signed_map_sums_channels():
    scores = np.arange(12.0).reshape(2, 2, 3)
    np.testing.assert_array_equal(maps.signed_map(scores), [[3, 12], [21, 30]])
    np.testing.assert_array_equal(maps.signed_map(scores[None]), [[3, 12], [21, 30]])
    assert maps.signed_map(np.ones(4)).shape == (1, 4)
    assert maps.signed_map(np.float64(2)).shape == (1, 1)


def test_enlarge_repeats_whole_pixels():
    rgb = np.array([[[1, 2, 3], [4, 5, 6]]] * 2, np.uint8)
    large = views.enlarge(rgb, 5)
    assert large.shape == (6, 6, 3)
    assert (large[:3, :3] == [1, 2, 3]).all() and (large[5, 5] == [4, 5, 6]).all()


@pytest.mark.parametrize("value, pixel, note", [
    ([[0.0, 1.0]], [255] * 3, ""),
    ([[-1.0, 0.0]], [128] * 3, ""),
    ([[[0, 0, 0], [255, 0, 51]]], [255, 0, 51], ""),
    ([[0, 16]], [255] * 3, "16 (white)"),
    ([0.0, 1.0], [255] * 3, ""),
    ([[[0, 0, 0, 9], [51, 0, 255, 9]]], [51, 0, 255], ""),
    (np.zeros((1, 1, 2, 1)), [0] * 3, ""),
    (np.array([[[0.0, 1.0]]]), [255] * 3, ""),
])
def test_input_picture_ranges_and_shapes(value, pixel, note):
    picture = photo.input_picture(value, (1, 2))
    assert picture.rgb.shape == (1, 2, 3)
    assert picture.rgb[0, 1].tolist() == pixel and note in picture.note


def test_input_picture_from_a_file():
    sent = {"base64": base64.b64encode(photo.png(np.full((4, 6, 3), 90, np.uint8))).decode()}
    picture = photo.input_picture(sent, (2, 3))
    assert picture.rgb.shape == (2, 3, 3) and (picture.rgb == 90).all()


@pytest.mark.parametrize("value", [
    None, "a.jpg", {"base64": "!!"}, {"base64": "aGVsbG8="}, {"media": "x"}, [[1, 2], [3]],
    [], [1.0, 2.0, 3.0], np.zeros((2, 2, 2, 2, 2))])
def test_input_that_cannot_be_drawn_is_said(value):
    picture = photo.input_picture(value, (1, 2))
    assert picture.rgb is None and "input" in picture.note


def figure_of(scores, **inputs):
    point = PointScores("image", "image", scores, None, ("image",))
    return image.figure(point, example([point], inputs=inputs))


@pytest.mark.parametrize("scores, words", [
    (np.zeros((8, 8)), "Every score is 0"),
    (np.full((8, 8, 3), np.nan), "64 of 64 pixels have no finite score"),
    (np.full((2, 2), np.inf), "4 of 4 pixels have no finite score"),
    (np.array([[0.5]]), "±0.5 a pixel"),
    (np.full((700, 900, 1), 1e-40), "320 × 249 of 900 × 700"),
    (np.full((1, 5000), 1e30), "320 × 1 of 5000 × 1"),
    (np.ones((4, 4, 7)), "Summed over 7 channels"),
    (np.zeros((0, 0, 3)), "no pixels"),
    (np.array([[1.0, -0.25]]), "Green sums to +1, red to −0.25"),
])
def test_figure_is_total_and_says_what_it_did(scores, words):
    assert words in Page(figure_of(scores)).text


def test_figure_is_large_enough_and_shows_the_input():
    drawn = Page(figure_of(np.ones((8, 8)), image=np.ones((8, 8, 1)).tolist()))
    images = [marks for tag, marks in drawn.elements if tag == "img"]
    assert [(m["width"], m["height"]) for m in images] == [("160", "160")] * 2
    assert "input" in drawn.text
    only = Page(figure_of(np.ones((8, 8))))
    assert only.count("img") == 1 and "hold no input" in only.text


def test_shrinking_keeps_the_mean():
    signed = np.random.default_rng(0).normal(1.0, 1.0, (640, 960))
    small = maps.shrunk(signed)
    assert small.shape == (213, 320)
    assert small.mean() == pytest.approx(signed.mean(), rel=1e-3)


def test_shrinking_takes_the_mean_of_each_block():
    blocks = np.array([[4.0, -2.0], [0.0, 1.0]])
    inside = np.array([[0.5, 1.5], [1.5, 0.5]])  # mean 1
    signed = np.kron(np.tile(blocks, (160, 160)), inside)
    np.testing.assert_allclose(maps.shrunk(signed), np.tile(blocks, (160, 160)), rtol=1e-6)


def test_a_large_input_is_shrunk_to_the_mean_of_each_block():
    rgb = np.kron([[[10, 0, 0], [0, 200, 0]]], np.array([[[1], [0]], [[1], [0]]])).astype(np.uint8)
    sent = {"base64": base64.b64encode(photo.png(rgb)).decode()}
    for value in (rgb, sent):
        shape = (2, 4)
        picture = photo.input_picture(value, shape, (1, 2))
        assert picture.rgb.tolist() == [[[5, 0, 0], [0, 100, 0]]]
    flat = photo.input_picture(rgb.ravel(), (2, 4), (1, 2))
    assert flat.rgb.tolist() == picture.rgb.tolist()


def images_of(source):
    """(width and height said, opened image) of each image of a page."""
    for tag, marks in Page(source).elements:
        if tag == "img":
            content = base64.b64decode(marks["src"].partition("base64,")[2])
            yield (int(marks["width"]), int(marks["height"])), Image.open(io.BytesIO(content))


def test_pictures_are_at_most_320_pixels_and_small_ones_are_exact():
    rgb = np.full((700, 900, 3), 90, np.uint8)
    rgb[:, 450:] = 255
    drawn = list(images_of(figure_of(np.ones((700, 900)), image=rgb)))
    assert [size for size, _ in drawn] == [opened.size for _, opened in drawn] == [(320, 249)] * 2
    # Few colours make a small PNG, whose pixels are those of the input.
    assert drawn[0][1].format == "PNG"
    assert drawn[0][1].getpixel((10, 10)) == (90, 90, 90)
    assert drawn[0][1].getpixel((310, 10)) == (255, 255, 255)


def photograph(seed, size=224):
    """Noise of all scales with the spectrum of photographs, in the range of uint8."""
    random = np.random.default_rng(seed)
    length = np.hypot(*np.meshgrid(np.fft.fftfreq(size), np.fft.fftfreq(size)))
    length[0, 0] = 1.0
    waves = np.fft.fft2(random.normal(size=(size, size, 3)), axes=(0, 1)) / length[..., None] ** 1.5
    smooth = np.fft.ifft2(waves, axes=(0, 1)).real
    # Most of what differs in a photograph is brightness.
    smooth = smooth.mean(axis=2, keepdims=True) + 0.2 * smooth
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8), random


def test_a_hundred_photographs_make_less_than_five_megabytes():
    rgb, random = photograph(0)
    scores = random.normal(size=rgb.shape).astype(np.float32)
    point = PointScores("image", "image", scores, None, ("image",))
    source = render([example([point], inputs={"image": rgb})], About())
    assert [opened.format for _, opened in images_of(source)] == ["JPEG", "JPEG"]
    drawn = np.asarray(next(images_of(source))[1].convert("L"), np.float64)
    assert np.abs(drawn - np.asarray(Image.fromarray(rgb).convert("L"))).mean() < 3


@pytest.mark.parametrize("views, words", [(("input", "overlay"), 200), (VIEWS, 200)])
def test_a_hundred_examples_with_pictures_and_texts_make_less_than_five_megabytes(views, words):
    """By what two more add to two, each picture with the room that it has among a hundred."""
    rows = []
    for seed in range(4):
        rgb, random = photograph(seed)
        image = PointScores("image", "image", random.normal(size=rgb.shape), None, ("image",))
        text = words_point([f"word{i}" for i in range(words)], random.normal(size=words))
        rows.append(example([image, text], id=str(seed), inputs={"image": rgb, "age": seed},
                            features={f"f{i}": random.normal() for i in range(8)}))
    look = Look(views=views, picture_bytes=photo.share(100 * len(views), 100, 100 * words))
    two, four = (render(some, About(), look=look, by=["target"]) for some in (rows[:2], rows))
    assert len(two) + 98 / 2 * (len(four) - len(two)) < 5_000_000
    # What is kept in fewer pixels says so.
    fewer = [opened.size for size, opened in images_of(four) if size != opened.size]
    assert fewer and all(f"(kept in {width} × {height} pixels)" in four for width, height in fewer)
    assert four.count("(kept in ") == len(fewer)


@pytest.mark.parametrize("pictures, examples, words, bytes_", [
    (2, 1, 100, 18_000), (200, 100, 0, 12_750), (500, 100, 6_000, 4_425),
    (2000, 1000, 0, 12_750), (10_000, 10, 0, 3_000), (0, 0, 0, 18_000), (10, 1, 10**6, 3_000)])
def test_room_of_a_picture(pictures, examples, words, bytes_):
    assert photo.share(pictures, examples, words) == bytes_


@pytest.mark.parametrize("largest", [18_000, 6_000, 3_000])
def test_a_photograph_fits_its_room(largest):
    rgb, _ = photograph(1)
    media, content = photo.compressed(rgb, True, largest)
    assert media == "image/jpeg" and len(content) <= largest
    drawn = Image.open(io.BytesIO(content)).convert("L").resize((224, 224))
    grey = np.asarray(Image.fromarray(rgb).convert("L"), np.float64)
    assert np.abs(np.asarray(drawn, np.float64) - grey).mean() < 0.2 * grey.std()


def test_a_picture_with_all_colours_still_gets_a_file():
    rgb = np.random.default_rng(0).integers(0, 256, (320, 320, 3), np.uint8)
    media, content = photo.compressed(rgb, is_photo=False)
    assert media == "image/jpeg" and len(content) < 100_000


# Text ----------------------------------------------------------------------------------------


def words_point(tokens, scores):
    return PointScores("words", "tokens", np.array(scores, np.float64), tokens, ("text",))


def test_runs_collapse_padding_only():
    tokens = [0, 0, 5, 0, 0, -1, -1, 0]
    scores = np.array([0, 0, 1, 0, 2, 0, 0, 0.0])
    found = [(piece.start, piece.stop, piece.kind) for piece in pieces.cut(tokens, scores)]
    assert found == [(0, 2, "pad"), (2, 3, "word"), (3, 4, "word"), (4, 5, "word"), (5, 7, "pad"),
                     (7, 8, "pad")]
    assert [piece.kind for piece in pieces.cut(["0", "<pad>", "", "a"], np.zeros(4))] == [
        "word", "pad", "pad", "word"]


def test_tokens_are_coloured_by_sign_and_share():
    drawn = Page(text.figure(words_point(["good", "bad", "so"], [0.5, -0.25, 0.0])))
    spans = {marks["title"]: marks for tag, marks in drawn.elements if tag == "span"}
    assert spans["0.5"]["class"] == "t for" and spans["0.5"]["style"] == "--s:1.000"
    assert spans["-0.25"]["class"] == "t against" and spans["-0.25"]["style"] == "--s:0.500"
    assert spans["0.0"]["class"] == "t none" and "style" not in spans["0.0"]
    assert "good +0.5" in drawn.text and "bad −0.25" in drawn.text
    assert "Full colour at ±0.5" in drawn.text


def test_padding_is_set_apart_with_its_sum():
    drawn = Page(text.figure(words_point(["a", "<pad>", "<pad>"], [1.0, 0.25, 0.25])))
    assert drawn.count("span", "pad") == 1 and "2 × <pad> +0.5" in drawn.text


@pytest.mark.parametrize("tokens, scores, words", [
    ([], [], "no tokens"),
    (["a"], [0.0], "Every score is 0"),
    (["a", "b"], [math.nan, 1.0], "1 of 2 tokens have no finite score"),
    (["", ""], [0.0, 0.0], "2 × (empty)"),
    (["x" * 1_000_000], [1.0], "(1,000,000 characters)"),
])
def test_text_is_total(tokens, scores, words):
    assert words in Page(text.figure(words_point(tokens, scores))).text


def test_ten_thousand_tokens_are_cut_and_counted():
    drawn = Page(text.figure(words_point(["w"] * 10_000, [1.0] * 10_000)))
    assert drawn.count("span", "t") == text.MOST_PIECES
    assert "8,000 more tokens are not drawn; they hold 80 %" in drawn.text


# Bars and signals ----------------------------------------------------------------------------


def bars_of(**scores):
    return [table.Bar(name, "", score) for name, score in scores.items()]


def test_bars_are_ranked_and_the_rest_is_summed():
    many = [table.Bar(f"f{i}", str(i), (-1.0) ** i * i) for i in range(20)]
    shown, rest = table.ranked(many)
    assert [bar.name for bar in shown[:3]] == ["f19", "f18", "f17"] and len(shown) == 12
    assert len(rest) == 8
    drawn = Page(table.figure(many, "feature"))
    assert "8 others, summed" in drawn.text
    assert numerals.signed(sum(bar.score for bar in rest)) == "−4" and "−4" in drawn.text
    assert table.ranked(many[:13])[1] == []
    assert table.ranked(bars_of(a=math.nan, b=0.1))[0][-1].name == "a"


def test_bars_lie_on_the_side_of_their_sign():
    drawn = Page(table.figure(bars_of(up=1.0, down=-0.5, flat=0.0, lost=math.nan), "feature"))
    styles = {marks["class"]: marks["style"] for tag, marks in drawn.elements
              if "bar" in marks.get("class", "").split()}
    assert styles == {"bar for": "left:50.00%;width:50.00%",
                      "bar against": "left:25.00%;width:25.00%"}
    assert "not a number" in drawn.text


def test_element_bars_take_values_from_the_input():
    point = PointScores("x", "dense", [[1.0, 2.0]], None, ("x",))
    found = table.element_bars(point, example([point], inputs={"x": [7, 8.5]}))
    assert found == [table.Bar("[0, 0]", "7", 1.0), table.Bar("[0, 1]", "8.5", 2.0)]
    found = table.element_bars(point, example([point], inputs={"x": "other"}))
    assert [bar.value for bar in found] == ["", ""]


def test_bins_keep_both_masses():
    scores = np.random.default_rng(0).normal(size=43_844)
    up, down = signal.binned(scores)
    assert len(up) == len(down) == 300
    assert up.sum() == pytest.approx(scores[scores > 0].sum())
    assert down.sum() == pytest.approx(scores[scores < 0].sum())
    np.testing.assert_array_equal(signal.binned(np.array([1.0, -2.0, math.nan]))[1], [0, -2, 0])


def test_signal_is_drawn_along_its_longest_axis():
    scores = np.zeros((2, 1000, 1))
    scores[:, 300] = 0.5
    scores[0, 700] = -0.25
    drawn = Page(signal.figure(PointScores("audio", "dense", scores)))
    paths = {marks["class"]: marks["d"] for tag, marks in drawn.elements if tag == "path"}
    assert paths["for"] == "M90 0v-40.00h1V0z" and paths["against"] == "M210 0v10.00h1V0z"
    assert "[300] +1, [700] −0.25" in drawn.text


# Report --------------------------------------------------------------------------------------

HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'\u202e\0"


def test_hostile_text_is_inert_everywhere():
    point = PointScores(HOSTILE, "tokens", [1.0], [HOSTILE], (HOSTILE,))
    other = PointScores(HOSTILE + "2", "image", np.ones((2, 2)), None, (HOSTILE,))
    row = example([point, other], id=HOSTILE, message=HOSTILE,
                  target=Target(HOSTILE, 1, HOSTILE), features={HOSTILE: 1.0, "b": 2.0},
                  inputs={HOSTILE: HOSTILE, "b": {HOSTILE: HOSTILE}})
    about = About(model=HOSTILE, baseline=HOSTILE, held_constant=[HOSTILE], notes=[HOSTILE],
                  points=[{"name": HOSTILE, "features": [HOSTILE], "tensor": HOSTILE}])
    source = render([row] * 6, about, title=HOSTILE)
    found = Page(source)
    assert found.count("script") == 1  # the page's own, which the policy names
    for tag, marks in found.elements:
        assert not [name for name in marks if name.startswith("on")], (tag, marks)
        assert marks.get("src", "data:").startswith("data:")
        assert marks.get("href", "#").startswith("#")
    assert "\u202e" not in source and "\0" not in source
    assert "<script>alert(1)</script>" in found.text
    source.encode("utf-8")


def test_page_needs_nothing_else_and_forbids_it():
    source = render([example()], About())
    policy = next(marks["content"] for tag, marks in Page(source).elements
                  if marks.get("http-equiv") == "Content-Security-Policy")
    assert "default-src 'none'" in policy and "script-src 'sha256-" in policy
    assert not re.search(r"https?://|@import|url\(", source)


def test_empty_report():
    found = page([])
    assert "holds no example" in found.text and "without a model card" in found.text
    assert found.count("article") == 0


def test_header_and_overview():
    rows = [example(relative_error=0.01, features={"age": 0.5, "job": -0.25}),
            example(relative_error=0.03, features={"age": -1.5, "job": 0.25}),
            example(relative_error=0.5, status="capped"), Result("x", "error", "no such file")]
    rows[2:2] = [example(status="baseline_equal", relative_error=None)]
    about = About(model="dir", signature="serving", target="p:top", baseline="zeros", steps=50,
                  rule="gauss", held_constant=["keep_prob"], notes=["two ops changed"],
                  points=[{"name": "x", "kind": "one_hot", "tensor": "x:0", "features": ["age"]}])
    # Features of the rows above do not sum to 0.7; the verdict is not what is tested here.
    found = page(rows, about).text
    for words in ("dir", "serving", "p:top", "zeros", "50 (gauss)", "keep_prob", "two ops changed",
                  "x:0", "one hot", "2 converged, 1 capped (the sum misses the difference by more",
                  "1 baseline equal (no difference to explain), 1 error",
                  "of 3 within 5 %", "no such file", "+ green", "− red", "not causes",
                  "interactions", "relative to this baseline"):
        assert words in found, words
    assert global_view.feature_means(rows) == [("age", 1.0, 2), ("job", 0.25, 2)]


def row_with_total(total, **changes):
    return example([PointScores("x", "dense", [total])], **changes)


@pytest.mark.parametrize("row, expected", [
    (row_with_total(0.7), ADDS_UP),
    (row_with_total(0.7, relative_error=0.05), ADDS_UP),
    (row_with_total(0.7, relative_error=0.051), DOES_NOT),
    (row_with_total(0.2), MISMATCH),
    (row_with_total(math.nan), MISMATCH),
    (row_with_total(0.7, relative_error=None), NOT_CHECKED),
])
def test_verdict(row, expected):
    assert verdict(row) == expected


def sentence(row):
    """The text of the sentences at the head of an example's card."""
    source = render([row])
    return Page(source[source.index('<p class="story">'):].partition("</p>")[0] + "</p>").text


@pytest.mark.parametrize("features, said", [
    ({"age": 0.5, "job": 0.3, "sex": -0.1, "zip": 1e-3},
     "Most of that comes from age (+0.5) and job (+0.3). The strongest part the other way is "
     "sex (−0.1)."),
    ({"age": 0.7, "job": 0.0}, "Most of that comes from age (+0.7)."),
    ({f"f{i}": 0.1 for i in range(7)},
     "The largest parts of that come from f0 (+0.1), f1 (+0.1) and f2 (+0.1)."),
    ({"only": 0.7}, None), ({}, None)])
def test_the_strongest_parts_are_said_in_words(features, said):
    told = sentence(example([PointScores("x", "dense", [0.7])], features=features))
    assert told.startswith("The model gives “positive” 0.9, and 0.2 for the baseline: the input "
                           "raised it by 0.7. The attributions below account for it.")
    assert told.endswith(said or "account for it.")


def test_reasons_are_given_only_for_what_adds_up_and_along_the_difference():
    text = words_point(["un", "##do", "the", "<pad>"], [-0.4, -0.4, 0.1, 0.0])
    told = sentence(example([text], prediction=0.2, baseline_prediction=0.9))
    assert "lowered it by 0.7" in told and told.endswith(
        "Most of that comes from undo (−0.8). The strongest part the other way is the (+0.1).")
    for wrong in (example([text], prediction=0.2, baseline_prediction=0.9, relative_error=0.2),
                  example([text])):
        assert "comes from" not in sentence(wrong)
    picture = PointScores("image", "image", np.full((2, 2), 0.175), None, ("image",))
    assert sentence(example([picture])).endswith("account for it.")


def test_zero_has_no_bar_and_only_a_gap_is_hatched():
    source = render([example(features={"a": 0.5, "zero": 0.0, "b": 0.1})])
    assert source.count('class="bar none"') == 1 and "Hatched" in source
    source = render([example(features={"a": 0.5, "zero": 0.0, "b": 0.2})])
    assert 'class="bar none"' not in source and "Hatched" not in source


def test_card_gives_the_numbers_and_the_verdict():
    found = page([row_with_total(0.699, features={"a": 0.5, "b": 0.199},
                                 inputs={"a": "Sales"})]).text
    for words in ("probabilities[1]", "[positive]", "0.9", "0.2", "+0.7", "+0.699",
                  "0.001 (0.14 %)", "adds up", "converged", "Sales"):
        assert words in found, words


def test_bars_only_where_they_add_something():
    sentence = words_point(["good"], [0.7])
    alone = page([example([sentence], features={"text": 0.7})])
    assert alone.count("table") == 0 and alone.count("figure", "text") == 1
    price = PointScores("price", "dense", [0.1], None, ("price",))
    both = page([example([words_point(["very", "good"], [0.1, 0.6]), price],
                         features={"text": 0.7, "price": 0.1})])
    assert both.count("table", "bars") == 1 and both.count("figure", "text") == 1
    category = page([example([sentence, price], features={"text": 0.7, "price": 0.1})])
    assert category.count("table", "bars") == 1 and category.count("figure", "text") == 0
    vector = page([example([PointScores("x", "dense", np.arange(3.0), None, ("x",))],
                           features={"x": 3.0})])
    assert vector.count("tr") == 4
    audio = PointScores("audio", "dense", np.ones((500, 1)), None, ("audio",))
    assert page([example([audio], features={"audio": 500.0})]).count("table") == 0


def test_text_behind_ids_is_shown():
    point = words_point([4, 9], [1.0, 2.0])
    assert "Input: red shoes" in page([example([point], inputs={"text": "red shoes"})]).text


def test_every_status_and_many_features_and_examples():
    rows = [example(status=status, prediction=None) for status in STATUSES]
    rows.append(example(features={f"f{i}": float(i) for i in range(5000)}))
    rows += [row_with_total(0.7, id=str(i)) for i in range(500)]
    found = page(rows)
    assert found.count("article") == len(rows)
    assert "4,988 others, summed" in found.text
    assert f"List of all {len(rows)} examples" in found.text
    anchors = [marks["id"] for tag, marks in found.elements if tag == "article"]
    links = [marks["href"] for tag, marks in found.elements if tag == "a"]
    assert links == ["#examples", *(f"#{anchor}" for anchor in anchors)]


def test_colours_of_the_page_are_those_of_the_pictures():
    source = render([], About())
    for colour in (GREEN_RED.positive, GREEN_RED.negative):
        assert " ".join(map(str, colour)) in source


def test_rendering_needs_no_tensorflow():
    code = "import sys, ig_tf.rendering.report; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
