"""Pictures saved from a page: what a real browser writes is right, in pixels, text and values."""

import contextlib
import csv
import io
import re
import time
import xml.etree.ElementTree

import numpy as np
import pytest
from PIL import Image

from ig_tf.rendering import card, cells, counting, export, maps, palette, saving, views
from ig_tf.rendering.report import render
from ig_tf.run.results import About, PointScores, Result, Target
from tests import browser
from tests.test_report_browser import ATTACKS, hostile

SVG = "{http://www.w3.org/2000/svg}"
SECONDS = 30
FORMULAS = ("=1+1", "+1", "-1+2", "@SUM(A1)", "\uff1d1", "=cmd|' /C calc'!A0")


def row(points=(), **changes):
    return Result(**{**dict(
        id="a row", status="converged", target=Target("p", 1, "yes"), prediction=0.75,
        baseline_prediction=0.25, completeness_error=0.0, relative_error=0.0, points=points),
        **changes})


def words(tokens, scores):
    return PointScores("text", "tokens", scores, tokens, ("text",))


@pytest.fixture(name="page", scope="module")
def fixture_page():
    if browser.program() is None:
        pytest.skip("no Chromium on PATH (Debian: apt-get install chromium; or IG_TF_CHROMIUM)")
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(browser.opened())
        except (EOFError, OSError) as error:  # a time-out is an OSError
            pytest.skip(f"{browser.program()} does not start here: {error}")
        yield page


def opened(page, folder, rows, width=1000, scheme="light", beside=None):
    folder.mkdir(exist_ok=True)
    path = folder / "page.html"
    path.write_text(render(rows, About(), beside=beside), encoding="utf-8")
    page.saves_to(folder)
    page.open(path, width, 800, scheme)


def saved(page, folder, kind, name, wanted="click"):
    """(file name, content) of what a button saves; `name` is that of the picture."""
    for path in folder.glob("*_*"):  # what was saved before
        path.unlink()
    page.run(f"""(() => {{
      const picture = Array.from(document.querySelectorAll('[data-picture]'))
        .find(one => one.dataset.picture === {name!r});
      const button = Array.from(picture.querySelectorAll('.save button'))
        .find(one => one.textContent === {kind!r});
      button.{wanted}();
    }})()""")
    if wanted == "focus":
        page.press("Enter", "\r")
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        new = [path for path in folder.glob("*_*")
               if path.suffix != ".crdownload" and path.stat().st_size]
        if new:
            return new[0].name, new[0].read_bytes()
        time.sleep(0.05)
    raise AssertionError(page.run("document.querySelector('.said').textContent") or page.console)


def table_of(content):
    return list(csv.reader(io.StringIO(content.decode("utf-8"), newline="")))


def test_a_known_map_is_saved_as_known_pixels_and_values(page, tmp_path):
    scores = np.float32([[0.1, -0.2, 0, 0.05], [0, 0.3, -0.1, 0.35]])
    point = PointScores("image", "image", scores, None, ("image",))
    opened(page, tmp_path, [row([point], inputs={"image": np.ones((2, 4))})])
    name, content = saved(page, tmp_path, "SVG", "image")
    assert name == "1_a-row_image.svg"
    drawing = xml.etree.ElementTree.fromstring(content)
    said = " ".join("".join(node.itertext()) for node in drawing.iter(f"{SVG}text"))
    for expected in ("Example a row", "[ yes ]", "0.75", "adds up", "against −0.35", "+0.35 for",
                     "Full colour from ±0.35"):
        assert expected in said, (expected, said)
    places = [{key: int(float(node.get(key))) for key in ("x", "y", "width", "height")}
              for node in drawing.iter(f"{SVG}image")]
    assert [(at["width"], at["height"]) for at in places] == [(160, 80)] * 2

    name, content = saved(page, tmp_path, "PNG", "image")
    drawn = np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))
    size = [int(drawing.get("width")), int(drawing.get("height"))]
    assert name == "1_a-row_image.png" and list(drawn.shape[1::-1]) == [2 * v for v in size]
    colours, white = palette.PALETTES["green-red"], np.full((2, 4, 3), 255, np.uint8)
    expected = (white, views.overlay(maps.signed_map(scores), white, np.float32(0.35), colours))
    for at, rgb in zip(places, expected):
        for (i, j) in np.ndindex(2, 4):  # each pixel of the map is 40 of the page, 80 of the PNG
            block = drawn[2 * at["y"] + 80 * i:2 * at["y"] + 80 * (i + 1),
                          2 * at["x"] + 80 * j:2 * at["x"] + 80 * (j + 1)]
            assert (block == rgb[i, j]).all(), (i, j, block[40, 40], rgb[i, j])

    lines = table_of(saved(page, tmp_path, "CSV", "image")[1])
    assert lines[0] == ["row", "column", "rows", "columns", "attribution"]
    assert [list(map(int, line[:4])) for line in lines[1:]] == [
        [i, j, 1, 1] for i, j in np.ndindex(2, 4)]
    assert [np.float32(line[4]) for line in lines[1:]] == scores.ravel().tolist()
    assert page.console == []


def test_words_and_bars_are_saved_as_drawn(page, tmp_path):
    table = row(features={"age": 0.7, "job": -0.2000000000000001},
                inputs={"age": 3, "job": "=2+2"})
    text = words(["un", "##do", *FORMULAS, "<pad>", "<pad>"],
                 [0.25, 0.5, *[-0.125] * len(FORMULAS), 0.0, 0.0])
    opened(page, tmp_path, [row([text]), table])
    lines = table_of(saved(page, tmp_path, "CSV", "text")[1])
    assert lines[0] == ["place", "words", "attribution"]
    assert lines[1] == ["1", "undo", "0.75"] and lines[-1][1:] == ["2 × <pad>", "0.0"]
    assert [line[1] for line in lines[2:-1]] == [f"'{token}" for token in FORMULAS]
    assert [float(line[2]) for line in lines[2:-1]] == [-0.125] * len(FORMULAS)
    _, content = saved(page, tmp_path, "SVG", "text")
    drawing = xml.etree.ElementTree.fromstring(content)
    said = [node.text for node in drawing.iter(f"{SVG}text")]
    for expected in ("undo", "@SUM(A1)", "solid", "dotted", "±0.75"):
        assert expected in said, (expected, said)
    fills = {node.get("fill") for node in drawing.iter(f"{SVG}rect")}
    assert {"#009e73", "#d53c14", "#ffffff"} <= fills
    lines = table_of(saved(page, tmp_path, "CSV", "features")[1])
    assert lines[1:] == [["baseline", "", "0.25"], ["age", "3", "0.7"],
                         ["job", "'=2+2", "-0.2000000000000001"], ["prediction", "", "0.75"]]


def test_matrices_signals_and_the_set_are_saved_too(page, tmp_path):
    sound = PointScores("sound", "dense", np.linspace(-1, 1, 601), None, ("sound",))
    rows = [row([words(["a", "b"], [i / 4, -1 / 4])], id="s", target=Target("y", (i, 0)),
                features={"x": i / 8, "z": -0.5}) for i in range(3)]
    opened(page, tmp_path, [*rows, row([sound], id="t", features={"sound": 0.0})])
    _, content = saved(page, tmp_path, "SVG", "all outputs")
    said = " ".join(node.text for node in xml.etree.ElementTree.fromstring(content).iter(
        f"{SVG}text"))
    # Not the head of the first output: the matrix is of all three.
    assert "Example s, 3 outputs: 0 of 3 explanations add up" in said
    assert "y[0,0] 0.75" not in said and "+ green: for the target" in said
    matrix = table_of(saved(page, tmp_path, "CSV", "all outputs")[1])
    assert matrix == [["output", "a", "b"], *[[f"y[{i},0]", str(i / 4), "-0.25"]
                                              for i in range(3)]]
    bins = table_of(saved(page, tmp_path, "CSV", "sound")[1])
    assert bins[0] == ["first", "last", "for", "against"] and bins[1][0] == "0"
    assert [int(line[0]) for line in bins[2:]] == [int(line[1]) + 1 for line in bins[1:-1]]
    assert bins[-1][1] == "600" and len(bins) == 301
    total = sum(float(v) for line in bins[1:] for v in line[2:])
    assert abs(total) < 1e-4 * 300  # the scores of the line sum to 0
    name, content = saved(page, tmp_path, "CSV", "Example by example")
    assert name == "all_Example-by-example.csv"
    assert table_of(content)[1:4] == [["z", "s", f"y[{i},0]", "-0.5"] for i in range(3)]
    for kind, start in (("PNG", b"\x89PNG"), ("SVG", b"<?xml")):
        for shown in ("all outputs", "sound", "Example by example"):
            assert saved(page, tmp_path, kind, shown)[1].startswith(start)
    assert page.console == []


def test_attributions_beside_others_are_saved_with_their_own_verdict(page, tmp_path):
    own, other = (row([words(["a", "b"], scores)], relative_error=error)
                  for scores, error in (([0.5, 0.0], 0.0), ([0.125, 0.0], 0.75)))
    opened(page, tmp_path, [own], beside=card.Beside("one step", {"a row": other}))
    page.run("document.querySelector('[data-picture]').dataset.picture = 'first'")
    name, content = saved(page, tmp_path, "SVG", "text")
    assert name == "1_a-row_beside_text.svg"
    said = " ".join(node.text for node in xml.etree.ElementTree.fromstring(content).iter(
        f"{SVG}text"))
    assert "Example a row Beside it: one step" in said and "does not add up" in said
    assert "account for it" not in said


def test_saved_pictures_are_the_same_in_the_dark_and_on_a_phone(page, tmp_path):
    made = []
    for number, (width, scheme) in enumerate([(1200, "light"), (1200, "dark"), (390, "light")]):
        folder = tmp_path / str(number)
        both = row([words(["good", "bad"], [0.75, -0.25])], features={"a": 0.7, "b": -0.2})
        opened(page, folder, [both], width, scheme)
        made.append([saved(page, folder, "SVG", shown)[1] for shown in ("text", "features")])
    assert made[0] == made[1] == made[2]


def test_by_keyboard_with_names_and_not_on_paper(page, tmp_path):
    opened(page, tmp_path, [row([words(["a", "b"], [0.5, 0.25])], id=str(i)) for i in range(4)])
    assert saved(page, tmp_path, "CSV", "text", "focus")[1].startswith(b"place,words")
    assert page.run("document.querySelector('.said').textContent") == "saved as 1_0_text.csv"
    for key, reached in (("ArrowLeft", "SVG"), ("ArrowRight", "CSV"), ("ArrowRight", "CSV")):
        page.press(key)
        assert page.run("document.activeElement.textContent") == reached
    page.press("Tab")
    assert page.run("document.activeElement.closest('.save') === null || "
                    "document.activeElement.getAttribute('aria-label')") == "PNG of text, Example 1"
    names = page.run("Array.from(document.querySelectorAll('.save button'), "
                     "one => [one.textContent, one.getAttribute('aria-label')])")
    assert all(kind in name for kind, name in names) and len({name for _, name in names}) == 15
    assert names[3] == ["PNG", "PNG of text, Example 0"]
    page.run("const find = document.getElementById('find'); find.value = 'png'; "
             "find.dispatchEvent(new Event('input')); new Promise(done => setTimeout(done, 300))")
    assert page.run("document.getElementById('shown').textContent") == "0 of 4 examples"
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("getComputedStyle(document.querySelector('.save')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="")


def test_hostile_text_is_inert_in_what_is_saved(page, tmp_path):
    """In file names, cells and drawings: names are letters, nothing is a formula or a script."""
    for number, attack in enumerate([*ATTACKS[:-1], *FORMULAS, "\ufffe\uffff", "x" * 1_000_000]):
        folder = tmp_path / str(number)
        attacked = hostile(number + 1, attack)
        opened(page, folder, [attacked])
        picture = page.run("document.querySelector('[data-picture]').dataset.picture")
        for kind in ("CSV", "SVG") if number < 3 else ("CSV",) if number % 2 else ("SVG",):
            name, content = saved(page, folder, kind, picture)
            assert re.fullmatch(r"[A-Za-z0-9_-]{1,130}\.(csv|svg)", name)
            if kind == "CSV":
                for line in table_of(content)[1:]:
                    assert line[1][:1] not in ("=", "+", "-", "@", "\uff1d"), line
                continue
            for node in xml.etree.ElementTree.fromstring(content).iter():
                assert node.tag.removeprefix(SVG) in (
                    "svg", "title", "defs", "rect", "text", "line", "image", "linearGradient",
                    "stop"), node.tag
                for key, value in node.attrib.items():
                    assert not key.startswith("on") and "//" not in value.replace("base64,", "")[
                        :0 if value.startswith("data:image/") else None]
        assert page.dialogs == [] and page.console == []


# Without a browser ---------------------------------------------------------------------------


def test_blocks_keep_the_sum():
    signed = np.random.default_rng(0).normal(size=(50, 70))
    sums, side = saving.blocks(signed, 100)
    assert side == 7 and sums.shape == (8, 10)  # 6 would make 9 x 12
    np.testing.assert_allclose(sums.sum(), signed.sum())
    np.testing.assert_allclose(sums[7, 9], signed[49:, 63:].sum())
    exact, side = saving.blocks(signed[:4, :4])
    assert side == 1 and (exact == signed[:4, :4]).all()


@pytest.mark.parametrize("value, expected", [
    *((token, f"'{token}") for token in FORMULAS), ("a=1", "a=1"), (-1.5, -1.5), (None, ""),
    ("a\nb", "a\\nb"), ("\u202ex", "\\u202ex")])
def test_cells(value, expected):
    assert cells.cell(value) == expected


def test_files_of_the_set_hold_what_is_drawn(tmp_path):
    rows = [row(id=str(i), features={"=a": 0.25 * i, "b": -0.5}) for i in range(2)]
    written = {path.name: path for path in export.write(rows, str(tmp_path), "csv")}
    assert set(written) == {"all_features.csv", "1_0_scores.csv", "2_1_scores.csv"}
    assert table_of(written["all_features.csv"].read_bytes())[1:] == [
        ["b", "0", "p[1] [yes]", "-0.5"], ["b", "1", "p[1] [yes]", "-0.5"],
        ["'=a", "0", "p[1] [yes]", "0.0"], ["'=a", "1", "p[1] [yes]", "0.25"]]


@pytest.mark.parametrize("ids, targets, count, said", [
    ("aabbcc", "010101", 3, "6 explanations of 3 examples"), ("abc", "000", 3, "3 examples"),
    ("aaa", "000", 3, "3 examples"), ("aab", "011", 2, "3 explanations of 2 examples"),
    ("", "", 0, "0 examples"), ("abab", "0011", 2, "4 explanations of 2 examples"),
    ("a", "0", 1, "1 example")])
def test_examples_and_explanations_are_counted_apart(ids, targets, count, said):
    rows = [row(id=name, target=Target("p", int(target))) for name, target in zip(ids, targets)]
    assert counting.examples(rows) == count and counting.all_text(rows) == said
    page = render(rows)
    assert f"<b>{count}</b>example" in page
    assert ("explanation" in page.split("<main>")[1].split("How to read")[0]) == ("of" in said)
