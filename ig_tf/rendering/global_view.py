"""The set as a whole: features, words and pictures over all examples, and by slice."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ig_tf.rendering import (
    counting, image, maps, numerals, palette, saving, slices, spread, strips, views)
from ig_tf.rendering import look as looks
from ig_tf.rendering.look import Look
from ig_tf.rendering.markup import Html, element, escape, join
from ig_tf.rendering.scene import inline
from ig_tf.run import summaries
from ig_tf.run.results import Result

MOST_FEATURES = 15
MOST_WORDS = 16
MOST_TARGETS = 6
MOST_MAPS = 10
_LONGEST = 60


def feature_means(results: Sequence[Result]) -> list[tuple[str, float, int]]:
    """(feature, mean |attribution|, rows) of features in two rows or more, largest first."""
    means = [(name, moments.mean_absolute, moments.count)
             for name, moments in summaries.feature_moments(results).items() if moments.count > 1]
    return sorted(means, key=lambda line: -line[1])


def figure(results: Sequence[Result], look: Look = looks.DEFAULT, by: Sequence[str] = ()
           ) -> Html:
    """All views of the set that its rows allow; empty where there are none.

    Args:
      results: the rows.
      look: palette and words.
      by: what to slice by: "target" or names of inputs.
    """
    views_of = [_features(results, look), *(_slices(results, key, look) for key in by),
                _words(results, look), _mean_maps(results, look)]
    said = spread.caveat(results) if any(views_of) else ""
    return join([element("p", said, class_="note") if said else None, *views_of])


def summary_figure(summary: Mapping[str, Any], look: Look = looks.DEFAULT) -> Html:
    """The set as a whole by the summary that a job wrote, target by target.

    Args:
      summary: `_summary.json` of a job.
      look: palette and words.
    """
    targets = summary.get("targets", ())
    left = len(targets) - MOST_TARGETS
    note = element("p", f"{left:,} further targets are in _summary.json.", class_="note")
    return join([*(_of_target(one, look) for one in targets[:MOST_TARGETS]),
                 note if left > 0 else None])


def _of_target(found: Mapping[str, Any], look: Look) -> Html:
    """Features, slices and words of one target."""
    rows, features = found["rows"], found["features"]
    lines = [(line["feature"], line["mean_absolute"], line["count"]) for line in features]
    words = sorted(((line["token"], line["mean"], line["count"]) for line in found["tokens"]
                    if line["count"] > 1), key=lambda line: -abs(line[1]))[:MOST_WORDS]
    largest = max((line[1] for line in lines), default=0.0)
    name = f"Mean |attribution|, {found['target']}"
    parts = [element("h3", "Mean |attribution|"),
             saving.picture(_mean_table([_mean_line(line, largest, rows)
                                         for line in lines[:MOST_FEATURES]], largest), name)
             ] if lines else []
    for key, slice_ in found["slices"].items():
        columns = [(one["value"], one["rows"], {line["feature"]: line["mean"]
                                                for line in one["features"]})
                   for one in slice_["values"][:slices.MOST_SLICES]]
        parts += [element("h3", f"By {key}"),
                  _slice_table(columns, [line[0] for line in lines[:MOST_FEATURES]], look, key)]
    if len(words) > 1:
        parts += [element("h3", "Words"), _word_lists(words, found["target"])]
    return join([element("h2", f"{found['target']}: all {rows:,} results"),
                 element("section", *parts, class_="box")])


def mean_maps(results: Sequence[Result]) -> list[tuple[str, str, np.ndarray, int]]:
    """(target, point, mean scores, examples) of image points, where all examples have one shape."""
    found: dict[tuple[str, str], list[np.ndarray]] = {}
    for result in results:
        target = result.target.label if result.target.label is not None else result.target.text()
        for point in result.points:
            if point.kind == "image" and point.scores.size:
                found.setdefault((target, point.name), []).append(point.scores)
    made = []
    for (target, name), scores in found.items():
        if len({s.shape for s in scores}) == 1 and len(scores) > 1:
            mean = sum((np.asarray(s, np.float64) / len(scores) for s in scores), np.zeros(()))
            made.append((target, name, mean, len(scores)))
    return sorted(made, key=lambda line: -line[3])[:MOST_MAPS]


def _features(results: Sequence[Result], look: Look) -> Html:
    means = feature_means(results)
    if len(means) < 2:
        return Html("")
    parts = slices.by_target(results)
    bars = [_bars(part, len(parts) > 1) for part in parts[:MOST_TARGETS]]
    strip = strips.scene(results, [name for name, _, _ in means], look.colours.legend())
    return join([
        element("h2", "Which features matter over all examples"),
        element(
            "section", *bars,
            element("p", "Sizes without signs, so a feature that pushes both ways is not cancelled "
                    "out. One class is never mixed with another.", class_="note"),
            element("h3", "Example by example"),
            saving.picture(element("div", inline(strip), class_="scroll"), "Example by example"),
            element("p", "A dot is an example: to the right where the feature raised the output "
                    "that is explained, to the left where it lowered it."
                    + _own_targets(results), class_="note"),
            class_="box")])


def _bars(part: slices.Slice, named: bool) -> Html | None:
    """Mean sizes of one target, and the numbers behind them."""
    means = feature_means(part.results)
    if not means:
        return None
    largest, left = means[0][1], len(means) - MOST_FEATURES
    lines = [_mean_line(line, largest, len(part.results)) for line in means[:MOST_FEATURES]]
    numbers = spread.table(spread.of_features(part.results), MOST_FEATURES, "feature")
    name = "Mean |attribution|" + (
        f", {part.name}, {counting.examples_text(part.results)}" if named else "")
    return join([
        element("h3", name),
        saving.picture(_mean_table(lines, largest), name),
        element("p", f"The weakest {left:,} features are left out.", class_="note")
        if left > 0 else None,
        element("details", element("summary", "mean, size and quantiles"), numbers)
        if numbers else None])


def _own_targets(results: Sequence[Result]) -> str:
    """What signs mean where examples are explained for different targets."""
    count = len({result.target.named() for result in results})
    return (f" The examples are explained for {count:,} different targets, each for its own: "
            "right of one may be left of another.") if count > 1 else ""


def _slices(results: Sequence[Result], key: str, look: Look) -> Html:
    """Mean attributions by slice, within each target."""
    targets = slices.by_target(results)
    if key == slices.TARGET or len(targets) < 2:
        return join([element("h2", f"By {key}"), _sliced(results, key, look)])
    slices.by(results, key)  # an unknown input is said once
    return join([element("h2", f"By {key}"), *(
        join([element("h3", f"{part.name}, {counting.examples_text(part.results)}"),
              _sliced(part.results, key, look)])
        for part in targets[:MOST_TARGETS]
        if slices.has(part.results, key))])


def _sliced(results: Sequence[Result], key: str, look: Look) -> Html:
    parts = slices.by(results, key)
    names = [name for name, _, _ in feature_means(results)[:MOST_FEATURES]]
    if not names:
        return element("p", f"No feature totals to slice by {key}.", class_="note")
    columns = [(part.name, len(part.results), part.means()) for part in parts]
    return element("section", _slice_table(columns, names, look, key), class_="box")


def _slice_table(columns: Sequence[tuple[str, int, Mapping[str, float]]], names: Sequence[str],
                 look: Look, key: str) -> Html:
    """Mean attributions of features in slices: (slice, examples, {feature: mean}) a column."""
    scale = max((abs(means.get(name, 0.0)) for _, _, means in columns for name in names),
                default=0.0)
    head = element("tr", element("th", "feature", scope="col"), *(
        element("th", escape(part, _LONGEST), element("br"),
                element("small", f"{count:,} examples"), scope="col",
                class_="number") for part, count, _ in columns))
    lines = [element("tr", element("th", escape(name, _LONGEST), scope="row"),
                     *(_shaded(means.get(name), scale) for _, _, means in columns))
             for name in names]
    return saving.picture(element(
        "figure",
        element("div", element("table", element("thead", head), element("tbody", *lines),
                               class_="slices"), class_="scroll"),
        element("figcaption", "Mean attribution with its sign. Full colour at "
                f"±{numerals.plain(scale)}; {look.colours.legend()}.")), f"By {key}")


def _words(results: Sequence[Result], look: Look) -> Html:
    """The strongest words, target by target: what is for one class may be against another."""
    lists = []
    for part in slices.by(results, slices.TARGET)[:MOST_TARGETS]:
        means = slices.word_means(part.results, look)[:MOST_WORDS]
        if len(means) > 1:
            lists += [element("h3", f"{part.name}, {counting.examples_text(part.results)}"),
                      _word_lists(means, part.name),
                      _word_numbers(part, look)]
    if not lists:
        return Html("")
    return join([
        element("h2", "Which words matter over all examples"),
        element("section", *lists,
                element("p", "Words that occur twice or more among the examples of a target, by "
                        "mean attribution; × is how often. A mean of few is a guess.",
                        class_="note"),
                class_="box")])


def _word_lists(means: Sequence[tuple[str, float, int]], target: str) -> Html:
    return saving.picture(element("div", *_sides(means), class_="strongest"), f"Words, {target}")


def _word_numbers(part: slices.Slice, look: Look) -> Html | None:
    numbers = spread.table(slices.word_scores(part.results, look), MOST_WORDS, "word")
    return element("details", element("summary", "mean, size and quantiles"), numbers
                   ) if numbers else None


def _sides(means: Sequence[tuple[str, float, int]]) -> Iterator[Html]:
    for words, sign in ((palette.FOR_WORDS, 1), (palette.AGAINST_WORDS, -1)):
        items = [
            element("li", element("b", escape(word, _LONGEST), dir="auto"), " ",
                    numerals.signed(mean), element("small", f" × {count:,}"),
                    title=numerals.exact(mean), data_times=count)
            for word, mean, count in means if sign * mean > 0]
        if items:
            yield element("div", element("small", f"Most {words}"), element("ol", *items),
                          class_="for" if sign > 0 else "against")


def _mean_maps(results: Sequence[Result], look: Look) -> Html:
    made = mean_maps(results)
    if not made:
        return Html("")
    pictures = []
    for target, name, mean, count in made:
        signed = maps.drawn(maps.shrunk(maps.signed_map(mean, look.channels)), look)
        scale = maps.full_colour(signed, look.clip)
        large = views.enlarge(signed, 112)
        rgb = views.heat(large, large, scale, look.colours)
        drawn, said = image.embedded(rgb, f"mean attributions of {name} for {target}", False, look)
        pictures.append(element(
            "div", drawn, element("b", target),
            element("small", f"{count:,} examples, full colour ±{numerals.plain(scale)}{said}"),
            data_label=target, **image.values(maps.signed_map(mean, look.channels))))
    return join([
        element("h2", "Where it looks, on average"),
        element("section", saving.picture(element(
            "figure", element("div", *pictures, class_="sheet"), image.scale_bar(None, look),
            element("figcaption", "Mean attribution of each pixel over the examples of a target; "
                    "each picture has a scale of its own.")), "Mean maps"), class_="box")])


def _mean_table(lines: Sequence[Html], largest: float) -> Html:
    head = element("tr", element("th", "feature", scope="col"),
                   element("th", "", scope="col"),
                   element("th", f"0 to {numerals.plain(largest)}", scope="col", class_="axis"),
                   element("th", "mean |attribution|", scope="col", class_="number"))
    return element("table", element("thead", head), element("tbody", *lines), class_="bars")


def _mean_line(line: tuple[str, float, int], largest: float, rows: int) -> Html:
    name, mean, count = line
    width = 100 * mean / largest if largest else 0.0
    drawn = element("span", class_="bar size", style=f"left:0;width:{width:.2f}%")
    return element(
        "tr",
        element("th", escape(name, _LONGEST), scope="row"),
        element("td", f"{count:,} of {rows:,} rows" if count < rows else "", class_="value"),
        element("td", element("span", drawn, class_="track whole"), class_="axis"),
        element("td", numerals.plain(mean), class_="number", title=numerals.exact(mean)))


def _shaded(mean: float | None, scale: float) -> Html:
    if mean is None:
        return element("td", "–", class_="number")
    weight = float(palette.strength(mean, scale))
    return element("td", element("span", numerals.signed(mean), class_=f"t {palette.side(mean)}",
                                 style=f"--s:{weight:.3f}" if weight else None),
                   class_="number", title=numerals.exact(mean))


