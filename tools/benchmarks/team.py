"""Who takes part, and where: contenders by name, started once per number of threads."""

import pathlib
import sys

from tools.benchmarks.process import Contender
from tools.benchmarks.settings import SETTINGS

RIVALS = ("captum", "xplique", "alibi", "saliency")
LIMIT = "limit"
TITLES = {**{name: setting.title for name, setting in SETTINGS.items()},
          **{name: name for name in RIVALS},
          LIMIT: "limit: best chunk from the frontier"}


class Team:
    """Contenders of one number of threads; one that ended is started again when asked for.

    Args:
      threads: of each.
      pythons: {rival: interpreter that has its libraries}.
      work_dir: takes their logs.
      limit: seconds that one answer may take.
    """

    def __init__(self, threads, pythons, work_dir, limit):
        self.threads, self.pythons, self.limit = threads, pythons, limit
        self.work_dir = pathlib.Path(work_dir)
        self._running = {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for contender in self._running.values():
            contender.stop()

    def members(self, names):
        """{name: `Contender`} that runs."""
        return {name: self._member(name) for name in names}

    def _member(self, name):
        known = self._running.get(name)
        if known is None or known.process.poll() is not None:
            python = self.pythons.get(name, sys.executable)
            log = self.work_dir / f"{name}_{self.threads}.log"
            known = Contender(name, python, module(name), self.threads, log, self.limit)
            self._running[name] = known
        return known


def module(name):
    """What runs in the process of a contender."""
    if name in SETTINGS:
        return ["tools.benchmarks.contender_ours", name]
    if name == LIMIT:
        return ["tools.benchmarks.contender_limit"]
    return [f"tools.benchmarks.rival_{name}"]
