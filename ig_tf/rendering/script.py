"""The script of the report: sorting, filtering and saving; without it all is still to be read.

It is a part of the page, reads the page alone, and writes no markup. The page's policy names its
hash, so that no other script can run.
"""

import base64
import hashlib
from collections.abc import Sequence

from ig_tf.rendering import counting, saving
from ig_tf.rendering.markup import Html, element, escape
from ig_tf.rendering.verdict import verdict
from ig_tf.run.results import Result

# Fewer examples need no tools.
LEAST = 4
MOST_TARGETS = 200
_TOOLS_ID = "tools"

_ORDERS = (("number", "order in the file"), ("prediction", "prediction"),
           ("error", "completeness error"))

_TOOLS = """"use strict";
(() => {
  const tools = document.getElementById("tools");
  if (!tools) return;
  const place = document.getElementById("cards");
  const cards = Array.from(place.children);
  const lines = new Map(Array.from(document.querySelectorAll("tr[data-example]"),
    line => [line.dataset.example, line]));
  const get = name => document.getElementById(name);
  const number = (card, key) => card.dataset[key] === undefined ? NaN : Number(card.dataset[key]);
  const words = new Map();
  const SAVE = "Save PNG SVG CSV ";  // what save.js adds to a card
  const text = card => {
    if (!words.has(card)) words.set(card, card.textContent.replaceAll(SAVE, "").toLowerCase());
    return words.get(card);
  };
  const rank = (key, sign) => (a, b) => {
    const x = number(a, key), y = number(b, key);
    if (isNaN(x) || isNaN(y)) return isNaN(x) - isNaN(y);
    return sign * (x - y) || a.dataset.number - b.dataset.number;
  };
  const show = () => {
    const find = get("find").value.trim().toLowerCase();
    const verdict = get("verdict").value, target = get("target").value;
    let count = 0;
    for (const card of cards) {
      const fits = (!verdict || card.dataset.verdict === verdict)
        && (!target || card.dataset.target === target) && (!find || text(card).includes(find));
      card.hidden = !fits;
      const line = lines.get(card.id);
      if (line) line.hidden = !fits;
      count += fits;
    }
    get("shown").textContent = `${count} of ${cards.length} ${get("shown").dataset.what}`;
  };
  const sort = () => {
    const falling = get("falling").checked;
    const ordered = cards.slice().sort(rank(get("order").value, falling ? -1 : 1));
    place.append(...ordered);
    const body = lines.size ? lines.values().next().value.parentNode : null;
    if (body) body.append(...ordered.map(card => lines.get(card.id)).filter(Boolean));
  };
  let waiting = 0;
  get("find").addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(show, 120);
  });
  for (const name of ["verdict", "target"]) get(name).addEventListener("change", show);
  for (const name of ["order", "falling"]) get(name).addEventListener("change", sort);
  tools.hidden = false;
  show();
})();
"""

SCRIPT = _TOOLS + saving.SCRIPT

# What a policy calls this script.
HASH = "sha256-" + base64.b64encode(hashlib.sha256(SCRIPT.encode("utf-8")).digest()).decode()


def needed(body: Html) -> Html | None:
    """The script, for a page that has something to sort or to save."""
    if f'id="{_TOOLS_ID}"' in body or saving.MARK in body:
        return element("script", Html(SCRIPT))
    return None


def tools(results: Sequence[Result]) -> Html:
    """The controls, hidden until the script runs; empty for a few examples."""
    if len(results) < LEAST:
        return Html("")
    verdicts = list(dict.fromkeys(verdict(result).words for result in results))
    targets = sorted({result.target.named() for result in results})[:MOST_TARGETS]
    return element(
        "form",
        _labelled("Find", element("input", type="search", id="find", autocomplete="off")),
        _labelled("Verdict", _select("verdict", [("", "all"), *((v, v) for v in verdicts)])),
        _labelled("Target", _select("target", [("", "all"), *((t, t) for t in targets)])),
        _labelled("Sort by", _select("order", _ORDERS)),
        element("label", element("input", type="checkbox", id="falling"), " falling",
                class_="tick"),
        element("output", id="shown", aria_live="polite", data_what="examples" if
                counting.examples(results) == len(results) else "explanations"),
        id=_TOOLS_ID, role="search", aria_label="examples", hidden="", class_="toolbar")


def _labelled(words: str, control: Html) -> Html:
    return element("label", element("span", words), control)


def _select(name: str, choices: Sequence[tuple[str, str]]) -> Html:
    return element("select", *(element("option", escape(words, 60), value=value)
                               for value, words in choices), id=name)
