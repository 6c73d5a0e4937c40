"""The pages of this repository as data: fenced blocks, links, headings, flags that are named.

How a page is written (CONTRIBUTING.md has it in short):
- ```sh and ```python are run, from top to bottom, in one temporary folder for each page that looks
  like the root of the repository. A block of Python is a program of its own.
- ```output is what the block before it printed, shortened: `...` in a line stands for anything, as
  a line of its own for any lines.
- A block whose first line is `# not run: REASON` is not run; `# needs MODULE` or `# needs MODULE
  VERSION` is run where Python has that module, of that version or a newer one, or where there is
  a program of that name.
- ```text, ```json and ```yaml are only shown.
"""

import dataclasses
import importlib.metadata
import importlib.util
import pathlib
import re
import shutil

REPO = pathlib.Path(__file__).resolve().parent.parent
RUN = ("sh", "python")
SHOWN = ("text", "json", "yaml")
KINDS = (*RUN, "output", *SHOWN)

_NOT_RUN = re.compile(r"#\s*not run:\s*(.*)")
_NEEDS = re.compile(r"#\s*needs (\w+)(?: ([\d.]+))?")
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CODE = re.compile(r"`[^`]+`")
_NUMBER = re.compile(r"\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_COMMAND = re.compile(
    r"\s*(?:[A-Z_]+=\S+\s+)*(ig-tf \w+|python\S*\s+(?:-m\s+)?(tools[./]\S+))")
# Said where a command takes long: a bar of tqdm, or a line now and then (`ig_tf.run.progress`).
_PROGRESS = re.compile(r"\s*(\d+%\|.*|\d+ \w+ \[\d+:.*|\d+(?: of \d+)? \w+, [\d.]+ a second.*)")
_SHARE = 0.02  # of a number with a decimal point, between one machine and another
_ROUNDING = 1e-4  # what is smaller may be rounding and nothing else


@dataclasses.dataclass(frozen=True)
class Block:
    """One fenced block.

    Attributes:
      page: its file, relative to the repository.
      line: the number of its first line.
      kind: the word behind the fence.
      text: what is in it.
    """

    page: str
    line: int
    kind: str
    text: str

    @property
    def place(self):
        return f"{self.page}:{self.line}"

    @property
    def not_run(self):
        """Why it is not run, or None where it is."""
        found = _NOT_RUN.match(self.text)
        return found.group(1).strip() if found else None

    @property
    def needs(self):
        """(module or program, least version or None) that it cannot do without, or None."""
        found = _NEEDS.match(self.text)
        return found.groups() if found else None

    @property
    def lacking(self):
        """What it needs and this Python has not, as text; '' where it has all."""
        if self.needs is None:
            return ""
        module, version = self.needs
        if importlib.util.find_spec(module) is None:
            return "" if shutil.which(module) else module
        if version and _numbers(importlib.metadata.version(module)) < _numbers(version):
            return f"{module} {version}"
        return ""


def _numbers(version):
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


def paths():
    """README.md and all pages of docs/, relative to the repository."""
    return ["README.md", *sorted(path.relative_to(REPO).as_posix()
                                 for path in (REPO / "docs").rglob("*.md"))]


def text_of(page):
    return (REPO / page).read_text(encoding="utf-8")


def blocks(page, text=None):
    """The fenced blocks of a page in their order.

    Raises:
      ValueError: a fence without an end, or commands that stand in no fence.
    """
    found, kind, start, lines = [], None, 0, []
    before = ""
    for number, line in enumerate((text_of(page) if text is None else text).splitlines(), 1):
        if line.startswith("```"):
            if kind is None:
                kind, start, lines = line[3:].strip(), number, []
            else:
                found.append(Block(page, start, kind, "\n".join(lines) + "\n"))
                kind = None
        elif kind is not None:
            lines.append(line)
        elif line.startswith("    ") and not before.strip():
            raise ValueError(f"{page}:{number}: an indented block: put it in a fence, so that it "
                             "is run (```sh, ```python) or said not to be (```text)")
        before = line
    if kind is not None:
        raise ValueError(f"{page}:{start}: a fence without an end")
    return found


def prose(page):
    """The text of a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", text_of(page), flags=re.M | re.S)


def links(page):
    """Targets of the links of a page that lie in the repository: (file, anchor or '')."""
    for target in _LINK.findall(_CODE.sub("", prose(page))):
        if not re.match(r"[a-z]+:", target):
            file, _, anchor = target.partition("#")
            folder = (REPO / page).parent
            yield (folder / file if file else REPO / page), anchor


def anchors(path):
    """The anchors that GitHub gives the headings of a file."""
    found = set()
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ +(.+?)\s*$", text, re.M):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", plain).replace(" ", "-")
        count = sum(one == slug or re.fullmatch(re.escape(slug) + r"-\d+", one) is not None
                    for one in found)
        found.add(f"{slug}-{count}" if count else slug)
    return found


def named_flags(text):
    """Names of the --flags in a text, without those that only stand for a kind of flag."""
    return set(re.findall(r"(?<![\w-])--([a-z]\w*(?:-\w+)*)", text))


def commands(block):
    """(program, its flags) for each command of this project in a block of shell.

    A program is 'ig-tf WORD', or the name of a file or module of tools/ ('tools.fuzz').
    """
    joined = re.sub(r"\\\n\s*", " ", block.text)
    for line in joined.splitlines():
        for part in re.split(r"&&|\|\||[|;]", line.partition(" #")[0]):
            found = _COMMAND.match(part)
            if found:
                program = found.group(2) or found.group(1)
                program = program.removesuffix(".py").replace("/", ".")
                yield program, named_flags(part)


def named_programs(page):
    """Names of the programs of tools/ that a page names, in blocks or in the text."""
    found = re.findall(r"(?:-m\s+|python )(tools[./]\w+)", text_of(page))
    return {program.replace("/", ".") for program in found}


# What came, against what the page says ----------------------------------------------------------


def difference(shown, came):
    """What a page's output has that did not come, or None where all of it did.

    Numbers without a decimal point are equal; others agree within 2 % or one of their last digit;
    those below 1e-4 may be any such number. What says how far a command is does not count.
    """
    lines = [line for line in came.splitlines() if line.strip() and not _PROGRESS.fullmatch(line)]
    wanted = [line for line in shown.splitlines() if line.strip()]
    anywhere, place = True, 0
    for line in wanted:
        if line.strip() == "...":
            anywhere = True
            continue
        places = range(place, len(lines)) if anywhere else range(place, min(place + 1, len(lines)))
        found = next((at for at in places if agrees(line, lines[at])), None)
        if found is None:
            return f"no line like {line!r}" + ("" if anywhere else f" after {lines[place - 1]!r}")
        anywhere, place = False, found + 1
    return None


def agrees(shown, came):
    """Whether a line that came is the one that a page shows."""
    pattern, numbers = [], []
    for part in re.split(r"(\.\.\.|\s+|\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)", shown.strip()):
        if part == "...":
            pattern.append(".*?")
        elif _NUMBER.fullmatch(part):
            numbers.append(part)
            pattern.append(r"(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)")
        else:
            pattern.append(r"\s+" if part.isspace() else re.escape(part))
    found = re.fullmatch("".join(pattern), came.strip())
    return found is not None and all(map(_same, numbers, found.groups()))


def _same(shown, came):
    if shown == came:
        return True
    if not re.search("[.eE]", shown) or not re.search("[.eE]", came):
        return False
    if float(shown) < _ROUNDING and float(came) < _ROUNDING:
        return True
    digits = len(shown.partition(".")[2]) if "e" not in shown.lower() else 0
    last = 10.0 ** -digits if digits else 0
    # One of the last digit, and what binary makes of it.
    return abs(float(shown) - float(came)) <= max(1.0001 * last, _SHARE * float(shown))
