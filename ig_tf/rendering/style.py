"""The style sheet of the report: light, dark, narrow and printed."""

from ig_tf.rendering import palette
from ig_tf.rendering.palette import Palette


def css(colours: Palette = palette.PALETTES[palette.DEFAULT]) -> str:
    """The style sheet in the colours of a palette."""
    return _CSS % {
        "for": _triple(colours.positive), "against": _triple(colours.negative),
        "for_ink": colours.positive_ink[0], "for_light": colours.positive_ink[1],
        "against_ink": colours.negative_ink[0], "against_light": colours.negative_ink[1]}


def _triple(colour: tuple[int, int, int]) -> str:
    return " ".join(map(str, colour))


_CSS = """
/* What is saved is drawn on light paper, whatever the page has. */
:root, .saving {
  color-scheme: light;
  --for: %(for)s; --against: %(against)s;
  --for-ink: %(for_ink)s; --against-ink: %(against_ink)s; --fix: #8a5a00;
  --good: #00694b; --bad: #a82e0d;
  --ink: #1c2226; --soft: #5b666e; --line: #d9dfe3; --paper: #f4f6f7; --card: #ffffff;
}
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) {
  :root {
    --for-ink: %(for_light)s; --against-ink: %(against_light)s; --fix: #e8b04a;
    --good: #4fd3a6; --bad: #ff8f68;
    --ink: #e6eaed; --soft: #9aa6ae; --line: #343c42; --paper: #14181b; --card: #1d2327;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
:focus-visible { outline: 3px solid var(--fix); outline-offset: 2px; }
.skip { position: absolute; left: -100vw; }
.skip:focus { position: static; }
body { margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 62rem; background: var(--paper);
  color: var(--ink); font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans",
  sans-serif; overflow-wrap: anywhere; }
body.alone { padding: .2rem; max-width: none; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 .3rem; }
h2 { font-size: 1.2rem; margin: 2.2rem 0 .7rem; }
h3 { font-size: 1.05rem; margin: 0; }
h4 { font-size: .85rem; margin: 1rem 0 .2rem; color: var(--soft); font-weight: 600; }
p { margin: .4rem 0; }
small, .note, figcaption { color: var(--soft); font-size: .82rem; }
a { color: inherit; }
code { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  font-size: .9em; }
.lead { color: var(--soft); max-width: 46rem; }
.box, .card { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .9rem 1.1rem; }
.two { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.box h2 { margin: 0 0 .4rem; font-size: 1rem; }
.box ul { margin: 0; padding-left: 1.1rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(10rem, 1fr)); gap: 1rem;
  margin: 1.2rem 0; }
.tile b { display: block; font-size: 1.6rem; line-height: 1.2; }
dl.model { display: grid; grid-template-columns: max-content 1fr; gap: .2rem 1rem; margin: 0; }
dl.model dt { color: var(--soft); }
dl.model dd { margin: 0; }
table { border-collapse: collapse; width: 100%%; font-size: .9rem; }
th, td { text-align: left; padding: .22rem .6rem .22rem 0; vertical-align: middle; }
thead th { color: var(--soft); font-weight: 500; font-size: .78rem;
  border-bottom: 1px solid var(--line); }
tbody th { font-weight: 500; }
.number { text-align: right; padding-right: 0; white-space: nowrap;
  font-variant-numeric: tabular-nums; }
.scroll { overflow-x: auto; }
.scroll table { overflow-wrap: normal; }
.box h3 { font-size: .9rem; margin: 1rem 0 .3rem; }
.box > h3:first-child { margin-top: 0; }
.toolbar { display: flex; flex-wrap: wrap; gap: .6rem 1rem; align-items: end; margin: .8rem 0;
  padding: .7rem 0; }
.toolbar label span { display: block; color: var(--soft); font-size: .78rem; }
.toolbar input[type=search], .toolbar select { font: inherit; font-size: .9rem; color: var(--ink);
  background: var(--card); border: 1px solid var(--line); border-radius: 6px;
  padding: .25rem .5rem; max-width: 15rem; }
.toolbar .tick { padding-bottom: .3rem; font-size: .9rem; }
.toolbar output { margin-left: auto; color: var(--soft); font-size: .9rem;
  padding-bottom: .3rem; }

.card { margin: 0 0 1.1rem; break-inside: avoid; content-visibility: auto;
  contain-intrinsic-size: auto 420px; }
.card > header { display: flex; flex-wrap: wrap; gap: .3rem .9rem; align-items: baseline; }
.badge { margin-left: auto; font-size: .8rem; font-weight: 600; padding: .1rem .6rem;
  border: 1px solid currentColor; border-radius: 99px; }
/* A verdict keeps its colour in every palette. */
.good { color: var(--good); }
.fix { color: var(--fix); }
.bad { color: var(--bad); }
.unbroken { white-space: nowrap; }
.story { margin: .5rem 0 .2rem; max-width: 50rem; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(8.7rem, 1fr));
  gap: .4rem .6rem; margin: .9rem 0 0; padding-top: .6rem; border-top: 1px solid var(--line); }
.facts dt { color: var(--soft); font-size: .78rem; }
.facts dd { margin: 0; font-size: .93rem; overflow-wrap: normal;
  font-variant-numeric: tabular-nums; }
figure { margin: .9rem 0 0; }
figcaption { margin-top: .35rem; max-width: 50rem; }

.key { display: inline-block; width: 1.1em; height: 1.1em; border-radius: 3px;
  vertical-align: -.2em; margin-right: .4em; }
.key.for { background: rgb(var(--for)); }
.key.against { background: rgb(var(--against)); }

.tokens { line-height: 2.1; margin: 0; }
.t { display: inline-block; padding: 0 .28em; margin: 0 .06em; border-radius: 3px;
  line-height: 1.55; white-space: pre-wrap; unicode-bidi: isolate;
  border-bottom: 2px solid transparent; }
.t.for { background: rgb(var(--for) / calc(var(--s) * .62));
  border-bottom: 2px solid rgb(var(--for) / calc(var(--s) + .15)); }
.t.against { background: rgb(var(--against) / calc(var(--s) * .62));
  border-bottom: 2px dotted rgb(var(--against) / calc(var(--s) + .15)); }
.pad { color: var(--soft); font-size: .8rem; border: 1px dashed var(--line); border-radius: 3px;
  padding: .05em .45em; margin: 0 .15em; unicode-bidi: isolate; }
.special { border: 1px dashed var(--line); font-size: .85em; }
.box > h3 ~ .strongest { margin-top: 0; }
.strongest { display: flex; flex-wrap: wrap; gap: .3rem 2.4rem; margin-top: .5rem; }
.strongest ol { list-style: none; margin: 0; padding: 0; display: flex; flex-wrap: wrap;
  gap: .1rem .9rem; font-size: .9rem; font-variant-numeric: tabular-nums; }
.strongest .for li { color: var(--for-ink); }
.strongest .against li { color: var(--against-ink); }

.pair { display: flex; flex-wrap: wrap; gap: .8rem; }
.pair > div { display: flex; flex-direction: column; }
.pair img { max-width: 100%%; height: auto; image-rendering: pixelated; border-radius: 3px; }
.scale { display: flex; gap: .6rem; align-items: center; max-width: 21rem; margin-top: .5rem;
  font-size: .82rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.ramp { flex: 1; height: .7rem; border-radius: 3px; background: linear-gradient(90deg,
  rgb(var(--against)), rgb(160 160 160), rgb(var(--for))); }
.ramp.up { background: linear-gradient(90deg, rgb(160 160 160), rgb(var(--for))); }
.ramp.down { background: linear-gradient(90deg, rgb(var(--against)), rgb(160 160 160)); }
.sheet { display: grid; grid-template-columns: repeat(auto-fill, minmax(7.5rem, 1fr));
  gap: .9rem; }
.sheet div { display: flex; flex-direction: column; }
.sheet img { image-rendering: pixelated; border-radius: 3px; max-width: 100%%; height: auto; }
.beside { border-left: 3px solid var(--line); padding-left: .9rem; margin-top: 1rem; }
.slices th, .slices td { vertical-align: bottom; }
.trials code { white-space: nowrap; }
.curves { display: flex; flex-wrap: wrap; gap: 1rem; }

.bars td.value { color: var(--soft); max-width: 14rem; }
.bars .axis { width: 42%%; }
.bars thead .axis { text-align: center; padding-right: .6rem; }
.track { display: block; position: relative; height: .95rem;
  background: linear-gradient(var(--soft), var(--soft)) center / 1px 100%% no-repeat; }
.bar { position: absolute; top: 1px; bottom: 1px; min-width: 1px; }
.bar.for { background: rgb(var(--for)); border-radius: 0 3px 3px 0; }
.bar.against { background: rgb(var(--against)); border-radius: 3px 0 0 3px; }
.bar.size { background: var(--soft); border-radius: 0 3px 3px 0; }
.track.whole { background: linear-gradient(var(--soft), var(--soft)) left / 1px 100%% no-repeat; }

.waterfall .end th, .waterfall .end td.number { font-weight: 700; }
.waterfall .track { border-left: 1px solid var(--line); border-right: 1px solid var(--line);
  background: none; }
.waterfall .bar { border-radius: 2px; min-width: 2px; }
.waterfall .bar.none { background: repeating-linear-gradient(45deg, var(--soft) 0 3px,
  transparent 3px 6px); }
.waterfall .stop { position: absolute; top: -2px; bottom: -2px; width: 3px; margin-left: -1.5px;
  background: var(--ink); }

svg.scene { max-width: 100%%; height: auto; display: block; }
.scroll > svg.scene { max-width: none; }
svg.scene text { font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace;
  white-space: pre; }
.f-ink { fill: var(--ink); } .f-soft { fill: var(--soft); } .f-line { fill: var(--line); }
.f-paper { fill: var(--card); } .f-for { fill: rgb(var(--for)); }
.f-against { fill: rgb(var(--against)); }
.s-ink { stroke: var(--ink); fill: none; } .s-soft { stroke: var(--soft); fill: none; }
.s-line { stroke: var(--line); fill: none; } .s-for { stroke: rgb(var(--for)); fill: none; }
.s-against { stroke: rgb(var(--against)); fill: none; }
.signal svg { width: 100%%; height: 96px; display: block; }
.signal .for { fill: rgb(var(--for)); }
.signal .against { fill: rgb(var(--against)); }
.signal .zero { stroke: var(--soft); stroke-width: 1; vector-effect: non-scaling-stroke; }
.save { margin: .35rem 0 0; font-size: .78rem; color: var(--soft); }
.save button { font: inherit; color: var(--soft); background: none; cursor: pointer;
  border: 1px solid var(--line); border-radius: 5px; padding: .05rem .45rem; min-height: 1.5rem; }
.save button:hover, .save button:focus-visible { color: var(--ink); border-color: currentColor; }
.said { position: fixed; right: 1rem; bottom: 1rem; max-width: calc(100%% - 2rem);
  background: var(--ink); color: var(--card); border-radius: 6px; padding: .4rem .8rem;
  font-size: .85rem; }
.said:empty { clip-path: inset(50%%); }
.saving { position: absolute; left: -9999px; top: 0; width: 760px; color: var(--ink);
  background: #ffffff; }
.saving header { display: flex; flex-wrap: wrap; gap: .3rem .9rem; align-items: baseline; }
.saving .scroll { overflow: visible; }
.saving > [data-picture] { display: flow-root; }
details { margin: .8rem 0; }
summary { cursor: pointer; color: var(--soft); font-size: .9rem; }

@media (max-width: 40rem) {
  body { padding: 1rem .6rem 3rem; }
  .two { grid-template-columns: 1fr; }
  .tiles { grid-template-columns: 1fr 1fr; gap: .6rem; }
  .tile { padding: .6rem .8rem; }
  .tile:nth-child(3) { grid-column: 1 / -1; }
  .card .pair > div { max-width: calc(50%% - .4rem); }
  .card, .box { padding: .8rem; }
  .toolbar { display: grid; grid-template-columns: 1fr 1fr; }
  .toolbar input[type=search], .toolbar select { width: 100%%; }
  .card .badge { margin-left: 0; }
  dl.model { grid-template-columns: 1fr; gap: 0; }
  dl.model dd { margin-bottom: .4rem; }
  /* In cards and boxes alone: what is saved is as wide on a phone as anywhere. */
  :is(.card, .box) .bars thead { display: none; }
  :is(.card, .box) .bars tr { display: grid; gap: 0 .6rem; padding: .15rem 0;
    grid-template-columns: minmax(0, 1.6fr) minmax(0, 1fr) 6rem; }
  :is(.card, .box) .bars :is(th, td) { padding: 0; }
  :is(.card, .box) .bars td.value { grid-column: 2 / 4; text-align: right; max-width: none; }
  :is(.card, .box) .bars td.axis { grid-column: 1 / 3; width: auto; padding: .15rem 0; }
}
@media print {
  :root { --paper: #ffffff; --card: #ffffff; --ink: #000000; --soft: #444444; --line: #bbbbbb;
    --for-ink: %(for_ink)s; --against-ink: %(against_ink)s; --fix: #8a5a00; --good: #00694b;
    --bad: #a82e0d; }
  body { max-width: none; padding: 0; font-size: 11pt; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  .card { content-visibility: visible; }
  .scroll table { overflow-wrap: anywhere; }
  .toolbar, .skip, .save, .said { display: none; }
}
"""
