"""Contenders as child processes: each with its own Python, threads and libraries."""

import json
import os
import pathlib
import subprocess
import threading

REPO = pathlib.Path(__file__).resolve().parents[2]


class Failed(Exception):
    """A contender cannot do what was asked; the text is its own error."""


class Contender:
    """One child process that serves `tools.benchmarks.serving`.

    Args:
      name: in tables.
      python: the interpreter that has its libraries.
      module: what runs there, with its arguments.
      threads: for all the pools that it may have.
      log: file that takes what it prints.
      limit: seconds that one answer may take.
      variables: of its environment; None for those of `environment(threads)`.
    """

    def __init__(self, name, python, module, threads, log, limit, variables=None):
        self.name, self.limit, self.log = name, limit, pathlib.Path(log)
        self._out = open(log, "w", encoding="utf-8")
        self.process = subprocess.Popen(
            [str(python), "-m", *module], cwd=REPO, env=variables or environment(threads),
            text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._out)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def ask(self, do, **request):
        """The answer to one request.

        Raises:
          Failed: an error there, no answer in time, or the process has ended.
        """
        watch = threading.Timer(self.limit, self.process.kill)
        watch.start()
        try:
            print(json.dumps({"do": do, **request}), file=self.process.stdin, flush=True)
            line = self.process.stdout.readline()
        except OSError:
            line = ""
        finally:
            in_time = watch.is_alive()
            watch.cancel()
        if not line:
            why = (f"ended without an answer; see {self.log.name} in the work folder"
                   if in_time else f"gave no answer in {self.limit} s")
            raise Failed(f"{self.name}: {why}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(f"{self.name}: {answer['error']}")
        return answer

    def stop(self):
        """Ends the process; it has nothing to lose."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self._out):
            stream.close()


def run(python, module, threads, log):
    """Runs a module of this folder to its end.

    Returns:
      Its last line of output as JSON, None where it prints nothing.

    Raises:
      Failed: its status is not 0.
    """
    with open(log, "w", encoding="utf-8") as out:
        done = subprocess.run([str(python), "-m", *map(str, module)], cwd=REPO, text=True,
                              env=environment(threads), stdout=subprocess.PIPE, stderr=out,
                              check=False)
    if done.returncode:
        said = pathlib.Path(log).read_text(encoding="utf-8").strip().splitlines() or ["nothing"]
        raise Failed(f"{module[0]} ended with {done.returncode}: {said[-1]}")
    lines = done.stdout.strip().splitlines()
    return json.loads(lines[-1]) if lines else None


def environment(threads):
    """Of a child: no accelerator, few words, so many threads."""
    count = str(threads)
    quiet = {"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONUNBUFFERED": "1",
             "PYTHONPATH": str(REPO)}
    pools = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS",
                           "TF_NUM_INTRAOP_THREADS"), count)
    one = {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"} if threads == 1 else {}
    return {**os.environ, **quiet, **pools, **one, "TF_NUM_INTEROP_THREADS": "1"}
