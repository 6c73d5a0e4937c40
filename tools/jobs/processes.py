"""Jobs as processes, and what Linux says of processes (/proc)."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

REPO = pathlib.Path(__file__).resolve().parents[2]
LIMIT = 1800.0  # seconds that a job may take, at most
_PROGRAM = "import sys; from ig_tf import cli; sys.exit(cli.main())"
_LOOK = 0.005  # seconds between looks


@dataclasses.dataclass(frozen=True)
class Asked:
    """A job, but for its output and for who does it.

    Attributes:
      model: folder of an instrumented model.
      input: a file.
      format: of the output.
      shard_records: records per file of results.
      flags: more.
    """

    model: object
    input: object
    format: str = "jsonl"
    shard_records: int = 10_000
    flags: tuple = ("--keep=label",)

    def command(self, output, *flags):
        return [sys.executable, "-c", _PROGRAM, "attribute", f"--model={self.model}",
                f"--input={self.input}", f"--output={output}{os.sep}", f"--format={self.format}",
                f"--shard_records={self.shard_records}", *self.flags, *flags]


class Running:
    """A job in a process of its own.

    Args:
      asked: the `Asked`.
      output: its folder.
      flags: who does it: --workers and the like.
      log: file for standard error; None is one beside the output.
    """

    def __init__(self, asked, output, *flags, log=None):
        self.output = pathlib.Path(output)
        self._log = log or self.output.with_name(f"{self.output.name}.log")
        self.began = time.monotonic()
        with open(self._log, "wb") as log:
            self._process = subprocess.Popen(
                asked.command(output, *flags), cwd=REPO, env=environment(),
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log)
        self.pid = self._process.pid

    def finished(self):
        """The number of finished shards."""
        return finished(self.output)

    def wait(self, until, limit=LIMIT):
        """Waits until a function without arguments says so, the job ends, or the limit is over.

        Returns:
          Whether the function said so.
        """
        stop = time.monotonic() + limit
        while self._process.poll() is None and time.monotonic() < stop:
            if until():
                return True
            time.sleep(_LOOK)
        return until()

    def ended(self):
        """Whether the process has ended by itself."""
        return self._process.poll() is not None

    def kill(self):
        """kill -9 of the job's own process."""
        self._process.send_signal(signal.SIGKILL)
        self._process.communicate()

    def result(self, limit=LIMIT):
        """Waits for the end.

        Returns:
          (status, summary or None, standard error).
        """
        try:
            said, _ = self._process.communicate(timeout=limit)
        except subprocess.TimeoutExpired:
            self.kill()
            return None, None, f"no end within {limit} s"
        lines = said.decode("utf-8", "replace").strip().splitlines()
        summary = json.loads(lines[-1]) if lines and lines[-1].startswith("{") else None
        return self._process.returncode, summary, self.errors()

    def errors(self):
        """What it wrote to standard error."""
        return self._log.read_text(encoding="utf-8", errors="replace")


def finished(output):
    """The number of finished shards of a job's folder."""
    try:
        return sum(name.endswith(".json") and not name.startswith(".")
                   for name in os.listdir(pathlib.Path(output, "_job", "shards")))
    except FileNotFoundError:
        return 0


def environment():
    """Of a job: no accelerator, few words."""
    return {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}


def descendants(pid):
    """Processes below one, as {pid: parent}; those nearest to it first."""
    parents = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                stat = pathlib.Path("/proc", name, "stat").read_text(encoding="utf-8")
            except OSError:
                continue
            parents[int(name)] = int(stat.rpartition(")")[2].split()[1])
    found, level = {}, [pid]
    while level:
        level = [child for child, parent in parents.items() if parent in level]
        found.update({child: parents[child] for child in level})
    return found


def command_line(pid):
    """The arguments of a process with spaces between; empty where it is gone."""
    try:
        return pathlib.Path("/proc", str(pid), "cmdline").read_bytes().replace(
            b"\0", b" ").decode("utf-8", "replace")
    except OSError:
        return ""


def resident(pid):
    """MiB of memory that a process holds; 0 where it is gone."""
    try:
        for line in pathlib.Path("/proc", str(pid), "status").read_text(
                encoding="utf-8").splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) / 1024
    except OSError:
        pass
    return 0.0


def is_alive(pid):
    """Whether a process is there and no zombie."""
    try:
        stat = pathlib.Path("/proc", str(pid), "stat").read_text(encoding="utf-8")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"
