"""Tokens as people read them: words out of their pieces, padding and special tokens set apart.

A word's score is the sum of its pieces, so nothing is lost by putting them together.
"""

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np

from ig_tf.run.results import PointScores

# Tokens that only fill a row, by what they are.
PADS = ("", "<pad>", "[PAD]", "<PAD>", "[pad]", "<|pad|>", -1)
# Tokens that a tokenizer adds and no writer wrote.
SPECIAL = ("[CLS]", "[SEP]", "[MASK]", "<s>", "</s>", "<mask>", "<bos>", "<eos>", "<BOS>", "<EOS>",
           "<START>", "<END>", "<start>", "<end>", "<cls>", "<sep>", "[BOS]", "[EOS]",
           "<|endoftext|>", "<|startoftext|>", "<|begin_of_text|>", "<|end_of_text|>")

# Scripts without spaces: pieces there are words of their own, marks or not.
_UNSPACED = re.compile("[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff"
                       "\uf900-\ufaff\U00020000-\U0003ffff]")


@dataclasses.dataclass(frozen=True)
class Marks:
    """How one family of tokenizers marks the pieces of words.

    Attributes:
      name: what a caption calls it.
      marks: whether a token has the family's mark.
      continues: whether a token goes on with the word before it, given (previous, token).
      shown: the token without its mark.
    """

    name: str
    marks: Callable[[str], bool]
    continues: Callable[[str, str], bool]
    shown: Callable[[str], str]


FAMILIES = (
    Marks("WordPiece, ##", lambda t: len(t) > 2 and t.startswith("##"),
          lambda before, t: len(t) > 2 and t.startswith("##"),
          lambda t: t.removeprefix("##") or t),
    Marks("SentencePiece, ▁", lambda t: t.startswith("▁"),
          lambda before, t: not t.startswith("▁"), lambda t: t.lstrip("▁") or "▁"),
    Marks("byte-level BPE, Ġ", lambda t: t.startswith("Ġ"),
          lambda before, t: not t.startswith(("Ġ", "Ċ")), lambda t: t.lstrip("Ġ") or "Ġ"),
    Marks("BPE, @@", lambda t: len(t) > 2 and t.endswith("@@"),
          lambda before, t: len(before) > 2 and before.endswith("@@"),
          lambda t: t.removesuffix("@@") or t),
    Marks("BPE, </w>", lambda t: len(t) > 4 and t.endswith("</w>"),
          lambda before, t: not before.endswith("</w>"), lambda t: t.removesuffix("</w>") or t),
)


@dataclasses.dataclass(frozen=True)
class Piece:
    """Tokens [start, stop) that are drawn as one.

    Attributes:
      start, stop: places in the sequence.
      kind: "word", "pad" (a run of one padding token) or "special".
      text: what is shown.
      score: sum over its tokens; NaN where one of them has no number.
    """

    start: int
    stop: int
    kind: str
    text: str | int
    score: float


def token_scores(point: PointScores) -> np.ndarray:
    """One signed score per token, float64 [length]; further axes are summed."""
    scores = np.asarray(point.scores, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        return scores.reshape(scores.shape[0], -1).sum(axis=1) if scores.size else (
            np.zeros(scores.shape[0]))


def family_of(tokens: Sequence[str | int]) -> Marks | None:
    """The family whose mark the tokens carry, the first that fits; None for whole words and ids."""
    words = [token for token in tokens if isinstance(token, str) and token not in SPECIAL]
    return next((family for family in FAMILIES if any(map(family.marks, words))), None)


def cut(tokens: Sequence[str | int], scores: np.ndarray, merge: bool = True) -> list[Piece]:
    """The sequence cut into words, special tokens and runs of one padding token.

    Padding is a token of PADS anywhere, or id 0 with score 0 at either end (where 0 is no
    padding it has a score, or text on both sides).

    Args:
      tokens: text or ids.
      scores: [length].
      merge: whether pieces of a word are put together.
    """
    family = family_of(tokens) if merge else None
    singles = np.asarray(scores, np.float64).tolist()
    pads = _pads(tokens, singles)
    found: list[Piece] = []
    for place, token in enumerate(tokens):
        kind = "pad" if pads[place] else "special" if token in SPECIAL else "word"
        before = found[-1] if found and found[-1].kind == kind else None
        if before and kind == "pad" and tokens[before.start] == token:
            shown = token
        elif before and kind == "word" and family and _goes_on(family, tokens[place - 1], token):
            shown = f"{before.text}{family.shown(str(token))}"
        else:
            before = None
            shown = family.shown(token) if family and kind == "word" and isinstance(
                token, str) else token
        start = place
        if before:
            start = found.pop().start
        score = singles[place] if start == place else _total(scores[start:place + 1])
        found.append(Piece(start, place + 1, kind, shown, score))
    return found


def _pads(tokens: Sequence[str | int], scores: Sequence[float]) -> list[bool]:
    silent = [token == 0 and not isinstance(token, str) and score == 0
              for token, score in zip(tokens, scores)]
    first = next((i for i, s in enumerate(silent) if not s), len(tokens))
    last = len(tokens) - next((i for i, s in enumerate(reversed(silent)) if not s), len(tokens))
    return [token in PADS or (silent[i] and not first <= i < last)
            for i, token in enumerate(tokens)]


def _goes_on(family: Marks, before: str | int, token: str | int) -> bool:
    if not (isinstance(before, str) and isinstance(token, str)):
        return False
    left, right = family.shown(before)[-1:], family.shown(token)[:1]
    if _UNSPACED.match(left) or _UNSPACED.match(right):
        return False
    return family.continues(before, token)


def _total(scores: np.ndarray) -> float:
    with np.errstate(invalid="ignore", over="ignore"):
        return float(scores.sum())
