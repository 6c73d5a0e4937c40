"""How large reports are and how long they take to write, for examples made up in many sizes.

  python -m tools.measure_reports [--examples=100,1000] [--words=60] [--output=FOLDER]

An example is a photograph of 224 x 224 (noise with the spectrum of photographs), a text and four
numbers. With --output the pages are kept, to be opened in a browser.
"""

import pathlib
import sys
import time

from absl import flags
import numpy as np

from tools import program

_EXAMPLES = flags.DEFINE_list("examples", ["100"], "Numbers of examples.")
_WORDS = flags.DEFINE_integer("words", 60, "Words of a text.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", None, "Folder in which the pages are kept.")

SIDE = 224
_KINDS = {"texts and numbers": (), "two views": ("input", "overlay"),
          "five views": ("input", "overlay", "heat", "mask", "outlines")}


def main(_):
    from ig_tf.rendering import look, report
    photographs = [_photograph(seed) for seed in range(6)]
    for count in map(int, _EXAMPLES.value):
        for kind, views in _KINDS.items():
            rows = [_example(i, photographs if views else ()) for i in range(count)]
            start = time.monotonic()
            page = report.render(rows, look=look.Look(views=views or look.DEFAULT.views)).encode()
            print(f"{count:,} examples, {kind}: {len(page) / 1e6:.1f} MB, "
                  f"{time.monotonic() - start:.0f} s", flush=True)
            if _OUTPUT.value:
                folder = pathlib.Path(_OUTPUT.value)
                folder.mkdir(parents=True, exist_ok=True)
                (folder / f"{count}_{len(views)}.html").write_bytes(page)
    return 0


main.needs_tensorflow = False


def _photograph(seed):
    random = np.random.default_rng(seed)
    length = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE)))
    length[0, 0] = 1.0
    waves = np.fft.fft2(random.normal(size=(SIDE, SIDE, 3)), axes=(0, 1))
    smooth = np.fft.ifft2(waves / length[..., None] ** 1.5, axes=(0, 1)).real
    # Most of what differs in a photograph is brightness.
    smooth = smooth.mean(axis=2, keepdims=True) + 0.2 * smooth
    return np.clip(128 + 50 * smooth / smooth.std(), 0, 255).astype(np.uint8)


def _example(number, photographs):
    from ig_tf.run import results
    random = np.random.default_rng(number)
    scores = 0.01 * random.normal(size=_WORDS.value)
    points = [results.PointScores("text", "tokens", scores,
                                  [f"word{i % 50}" for i in range(_WORDS.value)], ("text",))]
    features = {name: 0.1 * random.normal() for name in ("age", "income", "region", "visits")}
    points += [results.PointScores(name, "dense", [score], None, (name,))
               for name, score in features.items()]
    features["text"], inputs = float(scores.sum()), {"age": number}
    if photographs:
        inputs["image"] = photographs[number % len(photographs)]
        pixels = 1e-5 * random.normal(size=inputs["image"].shape)
        points.append(results.PointScores("image", "image", pixels, None, ("image",)))
        features["image"] = float(pixels.sum())
    total = sum(features.values())
    return results.Result(
        id=f"row {number}", status="converged", target=results.Target("p", number % 3),
        prediction=0.1 + total, baseline_prediction=0.1, completeness_error=0.0,
        relative_error=0.0, points=points, features=features, inputs=inputs)


if __name__ == "__main__":
    program.run(main, sys.argv, __doc__)
