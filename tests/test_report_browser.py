"""The report in a real browser: hostile text does nothing, the tools work, 1,000 examples open."""

import contextlib
import time

import numpy as np
import pytest

from ig_tf.rendering import notebook
from ig_tf.rendering.look import VIEWS, Look
from ig_tf.rendering.report import render
from ig_tf.run.results import About, PointScores, Result, Target
from tests import browser

pytestmark = pytest.mark.skipif(
    browser.program() is None,
    reason="no Chromium on PATH (Debian: apt-get install chromium; or IG_TF_CHROMIUM=PATH)")

MANY = 1000
# A quiet machine opens MANY examples in well under a second; a busy one must still not hang.
SECONDS = 20

ATTACKS = (
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"'><svg onload=alert(1)>",
    "</style><script>alert(1)</script>",
    "</script><script>alert(1)</script>",
    "]]><!--<script>alert(1)//-->",
    "<iframe src='https://example.invalid/'></iframe>",
    "<link rel=stylesheet href=//example.invalid/x.css>",
    "url(https://example.invalid/a.png)",
    "javascript:alert(1)",
    "<base href=//example.invalid/><form action=//example.invalid>",
    "<input autofocus onfocus=alert(1)>",
    "<meta http-equiv=refresh content='0;url=https://example.invalid/'>",
    "\u202egnp.exe\u202c", "\u2066\u2067\u2068abc", "a\0b\x1b[31m\x07\r\n\t",
    "\ud800", "%3Cscript%3E", "&lt;script&gt;", "${alert(1)}", "{{7*7}}",
    "--s:1;background:url(//example.invalid)",
    "x" * 1_000_000,
)


@pytest.fixture(name="page", scope="module")
def fixture_page():
    with contextlib.ExitStack() as stack:
        try:
            page = stack.enter_context(browser.opened())
        except (EOFError, OSError) as error:  # a time-out is an OSError
            pytest.skip(f"{browser.program()} does not start here: {error}")
        yield page


def written(folder, source, name="report.html"):
    path = folder / name
    path.write_text(source, encoding="utf-8")
    return path


def hostile(number, attack):
    text = PointScores(attack, "tokens", [1.0, -0.5, 0.25], [attack, f"##{attack[:50]}", "[SEP]"],
                       (attack,))
    image = PointScores(attack[:100] + "i", "image", np.ones((2, 2)), None, (attack,))
    return Result(
        id=attack, status="error" if number % 5 == 0 else "converged", message=attack,
        target=Target(attack, number, attack), prediction=0.9, baseline_prediction=0.1,
        completeness_error=0.0, relative_error=0.0, points=(text, image),
        features={attack: 0.5, f"{attack[:100]}b": 0.3}, inputs={attack: attack, "slice": attack})


def foreign(page, path):
    """What was asked for besides the page itself and pictures that lie in it."""
    return [address for address in page.requests
            if address != path.resolve().as_uri() and not address.startswith("data:")]


def test_hostile_text_does_nothing(page, tmp_path):
    """In tokens, names, ids, labels, messages, values, notes, titles and the file's own name."""
    rows = [hostile(number, attack) for number, attack in enumerate(ATTACKS)]
    every = " ".join(ATTACKS[:-1])
    about = About(model=every, target=every, baseline=every, notes=[every], held_constant=[every],
                  points=[{"name": every, "features": [every], "tensor": every}])
    check = {"advice": [every], "trials": [{"flags": every, "errors": [0.1]}],
             "rows": [{"id": every, "path": [0, 1], "errors": [[1, 0.5], [2, 0.1]]}],
             "alphas": [0, 1], "tolerance": 0.05}
    source = render(rows, about, every, Look(views=VIEWS), by=["slice", "target"], check=check)
    path = written(tmp_path, source, "<img src=x onerror=alert(1)>#?&'.html")
    page.open(path)
    assert page.run("document.querySelectorAll('article').length") == len(ATTACKS)
    # Everything that is shown only after a click is opened, searched and sorted too.
    page.run("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    page.run("document.getElementById('find').focus()")
    page.write("<script>alert(1)</script>")
    page.run("new Promise(done => setTimeout(done, 300))")
    page.run("""for (const name of ['verdict', 'target', 'order']) {
      const select = document.getElementById(name);
      for (let i = 0; i < select.options.length; ++i) {
        select.selectedIndex = i; select.dispatchEvent(new Event('change'));
      }
    }""")
    assert page.dialogs == [] and page.console == [] and foreign(page, path) == []
    assert page.run("document.querySelectorAll('script').length") == 1
    assert page.run("document.querySelectorAll('iframe, object, embed, link, base, [onerror],"
                    "[onload], [onfocus], a[href]:not([href^=\"#\"])').length") == 0
    assert page.run("/[\\u202e\\u2066-\\u2069\\u0000]/.test(document.documentElement.outerHTML)"
                    ) is False


def test_the_policy_stops_what_escaping_would_miss(page, tmp_path):
    """Markup that is put in by force is not run and fetches nothing: the second wall stands."""
    source = render([hostile(1, "a")], About()).replace(
        "</main>", "<script>alert(1)</script><img src=https://example.invalid/a.png "
        "onerror=alert(2)><a id=click href=javascript:alert(3)>x</a></main>")
    path = written(tmp_path, source)
    page.open(path)
    page.run("document.getElementById('click').click()")
    page.run("new Promise(done => setTimeout(done, 200))")
    assert page.dialogs == [] and foreign(page, path) == []
    assert len(page.console) >= 3  # the browser says what it refused


def test_a_frame_of_a_notebook_does_nothing_but_show(page, tmp_path):
    """Hostile rows in the frame that a notebook shows: neither they nor the page's script run."""
    frames = "".join(notebook.html(hostile(number, attack))
                     for number, attack in enumerate(ATTACKS[:-1]))
    many = notebook.html([hostile(1, attack) for attack in ATTACKS[:5]])
    path = written(tmp_path, f"<!DOCTYPE html><title>notebook</title><body>{frames}{many}</body>")
    page.open(path)
    assert page.run("document.querySelectorAll('iframe').length") == len(ATTACKS)
    assert page.run("document.querySelectorAll('body > :not(iframe)').length") == 0
    assert page.dialogs == []
    assert [address for address in foreign(page, path) if address != "about:srcdoc"] == []


def examples(count):
    words = ["plain", "words", "##like", "these", "[SEP]", "<pad>", "<pad>"]
    return [Result(
        id=f"row {i}", status="converged", target=Target("p", i % 3, ("no", "yes", "so")[i % 3]),
        prediction=(i * 37 % count) / count, baseline_prediction=0.0, completeness_error=0.0,
        relative_error=0.2 if i % 10 == 0 else 0.001,
        points=(PointScores("text", "tokens", np.linspace(-1, 1, 7) * (i % 7), words, ("text",)),),
        features={"text": 0.0, "age": (i * 37 % count) / count},
        inputs={"age": i}) for i in range(count)]


def shown(page):
    """Numbers of the examples that are to be seen, in their order."""
    return page.run("Array.from(document.querySelectorAll('article:not([hidden])'),"
                    "card => Number(card.dataset.number))")


def settled(page, expected):
    """What is to be seen once that is what is expected, or after SECONDS."""
    end = time.monotonic() + SECONDS
    while shown(page) != expected and time.monotonic() < end:
        time.sleep(0.1)
    return shown(page)


def test_a_thousand_examples_open_and_can_be_searched_and_sorted(page, tmp_path):
    """By keyboard alone, as far as typing goes; sorting and filtering against plain Python."""
    rows = examples(MANY)
    path = written(tmp_path, render(rows, About(), by=["target"]))
    assert page.open(path) < SECONDS
    assert shown(page) == list(range(1, MANY + 1))
    page.run("document.getElementById('find').focus()")
    page.write("row 77")
    expected = [78] + list(range(771, 781))
    assert settled(page, expected) == expected
    assert page.run("document.getElementById('shown').textContent") == "11 of 1000 examples"
    page.run("const find = document.getElementById('find'); find.value = '';"
             "find.dispatchEvent(new Event('input'));"
             "const target = document.getElementById('target'); target.value = 'p[1] [yes]';"
             "target.dispatchEvent(new Event('change'));"
             "const order = document.getElementById('order'); order.value = 'prediction';"
             "order.dispatchEvent(new Event('change')); document.getElementById('falling').click()")
    expected = sorted((i for i in range(MANY) if i % 3 == 1),
                      key=lambda i: -rows[i].prediction)
    assert settled(page, [i + 1 for i in expected]) == [i + 1 for i in expected]
    assert page.run("Array.from(document.querySelectorAll('tr[data-example]:not([hidden])'),"
                    "line => line.dataset.example)") == [f"example-{i + 1}" for i in expected]
    assert page.console == [] and foreign(page, path) == []


def test_every_control_is_reached_by_keyboard_and_has_a_name(page, tmp_path):
    path = written(tmp_path, render(examples(8), About()))
    page.open(path)
    reached = []
    for _ in range(30):
        page.press("Tab")
        reached.append(page.run("(document.activeElement.id || document.activeElement.className"
                                " || document.activeElement.tagName)"))
    assert reached[0] == "skip"
    for name in ("find", "verdict", "target", "order", "falling", "SUMMARY"):
        assert name in reached, (name, reached)
    nameless = page.run("""Array.from(document.querySelectorAll('input, select, img, svg'),
      node => node.matches('img') ? node.alt : node.matches('svg') ?
        node.getAttribute('aria-label') : node.labels[0] && node.labels[0].textContent)
      .filter(name => !name).length""")
    assert nameless == 0
    assert page.run("document.documentElement.lang") == "en"
    levels = page.run("Array.from(document.querySelectorAll('h1, h2, h3, h4'),"
                      "h => Number(h.tagName[1]))")
    assert levels[0] == 1 and all(b - a <= 1 for a, b in zip(levels, levels[1:]))


@pytest.mark.parametrize("width", [1200, 400, 320])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_wider_than_the_page_and_text_has_contrast(page, tmp_path, width, scheme):
    """No sideways scrolling down to a small phone; 4.5 to 1 for what is written (WCAG AA)."""
    row = examples(1)[0]
    image = PointScores("image", "image", np.random.default_rng(0).normal(size=(224, 224, 3)))
    long = Result(id="averylongidentifier" * 9, status="converged", points=(image,),
                  features={"a_long_name_of_a_feature_" * 3: 1.0, "b": 0.5}, prediction=1.5,
                  baseline_prediction=0.0, completeness_error=0.0, relative_error=0.0)
    path = written(tmp_path, render([row, long, *examples(5)], About(model="m" * 200),
                                    look=Look(views=VIEWS), by=["target"]))
    page.open(path, width, 800, scheme)
    assert page.run("document.documentElement.scrollWidth") <= width
    faint = page.run(CONTRAST)
    assert faint == [], faint


# Contrast of every text with what lies behind it, where that is one plain colour.
CONTRAST = """(() => {
  const numbers = colour => (colour.match(/[\\d.]+/g) || []).map(Number);
  const light = rgb => {
    const [r, g, b] = rgb.slice(0, 3).map(v => v / 255)
      .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const behind = node => {
    const layers = [];
    for (; node; node = node.parentElement) {
      const [r, g, b, a = 1] = numbers(getComputedStyle(node).backgroundColor);
      layers.push([r, g, b, a]);
      if (a === 1) break;
    }
    return layers.reverse().reduce((under, [r, g, b, a]) =>
      [r, g, b].map((v, i) => a * v + (1 - a) * under[i]), [255, 255, 255]);
  };
  const faint = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || node.closest('script, svg, [hidden], option')) continue;
    const a = light(numbers(getComputedStyle(node).color)), b = light(behind(node));
    const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (ratio < 4.5) faint.add(`${node.tagName}.${node.className} ${ratio.toFixed(2)}`);
  }
  return Array.from(faint);
})()"""


def test_the_page_prints_every_example(page, tmp_path):
    """Printed, no card is skipped by content-visibility and the tools are gone."""
    path = written(tmp_path, render(examples(12), About()))
    page.open(path)
    page.call("Emulation.setEmulatedMedia", media="print")
    assert page.run("getComputedStyle(document.querySelector('article')).contentVisibility"
                    ) == "visible"
    assert page.run("getComputedStyle(document.getElementById('tools')).display") == "none"
    page.call("Emulation.setEmulatedMedia", media="")
