"""HTML that is safe by construction: what is not `Html` is escaped.

Text from models and data files is hostile until shown otherwise. Besides the characters that
HTML gives a meaning, control and bidirectional characters are shown as escapes, since they can
reorder or hide what a reader sees.
"""

import html
import re
import unicodedata
from collections.abc import Iterable

# Longer text than this is cut, with its length said.
LONGEST = 2000

_VOID = ("img", "meta", "br", "input")
# Joiners are letters' business (emoji, Persian); the rest of the class Cf only misleads.
_JOINERS = "\u200c\u200d"
_HIDDEN = ("Cc", "Cf", "Cs", "Zl", "Zp")
_SUSPECT = re.compile(r"[^\x20-\x7e\u00a1-\u00ac\u00ae-\u02ff\u0370-\u05ff\u3040-\u9fff]")


class Html(str):
    """Text that is markup already and goes into a page as it is."""

    __slots__ = ()


def escape(value: object, longest: int = LONGEST) -> Html:
    """`value` as text that is inert in an element and in a quoted attribute.

    Args:
      value: anything; `Html` comes back as it is.
      longest: number of characters that are shown at most.
    """
    if isinstance(value, Html):
        return value
    return Html(html.escape(visible(value, longest), quote=True))


def visible(value: object, longest: int = LONGEST) -> str:
    """`value` as text that cannot reorder, hide or steer what is around it; not yet markup."""
    text = str(value)
    if len(text) > longest:
        text = f"{text[:longest]}… ({len(text):,} characters)"
    return _SUSPECT.sub(_shown, text)


def element(name: str, /, *children: object, **attributes: object) -> Html:
    """One element; children and attribute values are escaped, those that are None left out.

    Args:
      name: name of the element.
      *children: `Html`, or anything else as text.
      **attributes: a trailing underscore is dropped (class_) and others become hyphens.
    """
    marks = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(value)}"'
        for key, value in attributes.items() if value is not None)
    if name in _VOID:
        return Html(f"<{name}{marks}>")
    return Html(f"<{name}{marks}>{join(children)}</{name}>")


def join(parts: Iterable[object]) -> Html:
    """The parts one after another, escaped where they are text; None is left out."""
    return Html("".join(escape(part) for part in parts if part is not None))


def data_image(media: str, base64_text: str, alt: str, **attributes: object) -> Html:
    """An image inside the page.

    Args:
      media: media type of the image.
      base64_text: its bytes in base64, made by this package.
      alt: what it shows, for those who do not see it.
      **attributes: of the img element.
    """
    return element("img", src=Html(f"data:{media};base64,{base64_text}"), alt=alt, **attributes)


def _shown(match: re.Match) -> str:
    character = match.group()
    nothing = ord(character) & 0xfffe == 0xfffe  # is no character, and XML refuses two of them
    if character in _JOINERS or not nothing and unicodedata.category(character) not in _HIDDEN:
        return character
    short = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if short:
        return short
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
