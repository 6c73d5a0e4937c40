"""Cases in processes of their own: what kills one is an outcome of it."""

import dataclasses
import json
import os
import resource
import select
import shutil
import signal
import tempfile
import time

from tools.fuzzing import artifact_cases, artifacts, bases, cases

_CHEAP_TOGETHER = 200  # cases of files in one process


@dataclasses.dataclass(frozen=True)
class Limits:
    """What one case may take: seconds, and bytes of address space beside what TensorFlow has."""

    seconds: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Outcome:
    """What became of a case.

    Attributes:
      case: "kind number".
      base: the model that was changed.
      mutations: what was done to it.
      kind, detail: see cases.py.
      phase: where it was when the process ended; "" where it did not.
    """

    case: str
    base: str
    mutations: tuple
    kind: str
    detail: str
    phase: str = ""

    @property
    def fine(self):
        """TensorFlow's own crashes on a model that ig_tf has dealt with are not ours."""
        return self.kind in cases.FINE or self.phase == "tensorflow"

    def described(self):
        return dataclasses.asdict(self)

    def text(self):
        return (f"{self.kind}: case {self.case} of {self.base} "
                f"({', '.join(self.mutations) or self.phase}): {self.detail[-1500:]}")


def apart(function, *arguments):
    """Calls a function in a process of its own and waits for it; what it returns is lost."""
    child = os.fork()
    if not child:
        try:
            function(*arguments)
            os._exit(0)
        except BaseException as error:
            print(f"{type(error).__name__}: {error}", flush=True)
            os._exit(1)
    if os.waitpid(child, 0)[1]:
        raise RuntimeError(f"{function.__name__} failed")


def run(kind, numbers, work, limits, together, zoo=None, only=()):
    """Yields the `Outcome` of each case.

    Args:
      kind: "model", "zoo", "metadata", "input", "results" or one of `artifacts.KINDS`.
      numbers: of the cases.
      work: folder with `bases`.
      limits: `Limits`.
      together: cases of models in one process.
      zoo: folder of SavedModels.
      only: names of models, if not all.
    """
    _import_all()
    size = together if kind in _OF_MODELS else _CHEAP_TOGETHER
    left = list(numbers)
    while left:
        done = []
        for outcome in _in_a_process(kind, left[:size], work, limits, zoo, only):
            done.append(outcome)
            yield outcome
        left = left[max(len(done), 1):]


def _import_all():
    """Imports what the children need, once; nothing of TensorFlow may be run before the fork."""
    import tensorflow  # noqa: F401
    from ig_tf import api, checking  # noqa: F401
    from ig_tf.rendering import report  # noqa: F401


def _in_a_process(kind, numbers, work, limits, zoo, only):
    read, write = os.pipe()
    child = os.fork()
    if not child:
        os.close(read)
        _child(kind, numbers, work, limits, zoo, only, write)
    os.close(write)
    try:
        yield from _outcomes(kind, numbers, read, child, limits)
    finally:
        os.close(read)


def _outcomes(kind, numbers, read, child, limits):
    """What the child says; the case that it ends in is its last."""
    state = {"number": numbers[0], "base": "", "phase": "start"}
    ended = ""
    for message in _messages(read, limits.seconds):
        if message is None:
            ended = "hang"
            os.kill(child, signal.SIGKILL)
            break
        state.update(message)
        if "kind" in message:
            yield Outcome(f"{kind} {state['number']}", state["base"], tuple(state["names"]),
                          message["kind"], message["detail"])
            state.update(phase="between")
    status = os.waitpid(child, 0)[1]
    if ended or status:
        how = ended or "crash"
        code = os.waitstatus_to_exitcode(status)
        yield Outcome(f"{kind} {state['number']}", state["base"], (), how,
                      f"in {state['phase']}, status {code}", state["phase"])


def _messages(read, seconds):
    """JSON lines; None where one takes too long to come."""
    rest = b""
    while True:
        if not select.select([read], [], [], seconds)[0]:
            yield None
            return
        data = os.read(read, 1 << 16)
        if not data:
            return
        *lines, rest = (rest + data).split(b"\n")
        for line in lines:
            yield json.loads(line)


def _child(kind, numbers, work, limits, zoo, only, write):
    def tell(**message):
        os.write(write, json.dumps(message).encode() + b"\n")

    log = os.open(os.path.join(work, "child.log"), os.O_CREAT | os.O_WRONLY | os.O_TRUNC)
    os.dup2(log, 1)
    os.dup2(log, 2)
    size = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (size + limits.bytes,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    import tensorflow as tf
    tf.config.threading.set_inter_op_parallelism_threads(2)
    tf.config.threading.set_intra_op_parallelism_threads(1)
    models = [base for base in _bases(kind, work, zoo) if not only or base.name in only]
    sound = None if kind in _OF_MODELS else cases.Sound(
        tempfile.mkdtemp(dir=work), {base.name: base for base in bases.small(work / "bases")})
    for number in numbers:
        base = models[number % len(models)]
        folder = tempfile.mkdtemp(dir=work, prefix="case_")
        tell(number=number, base=base.name, phase="start")
        began = time.monotonic()
        found = cases.guarded(_CASES[kind], sound or base, number, folder,
                              lambda phase: tell(phase=phase))
        outcome, detail, names = found
        tell(kind=outcome, detail=detail, names=list(names), took=time.monotonic() - began)
        shutil.rmtree(folder, ignore_errors=True)
    os._exit(0)


def _bases(kind, work, zoo):
    """The models that are changed."""
    if kind == "zoo":
        return bases.zoo(zoo)
    return artifacts.made(kind, work / kind) if kind in artifacts.KINDS else (
        bases.small(work / "bases"))


_OF_MODELS = ("model", "zoo", *artifacts.KINDS)
_CASES = {"model": cases.of_model, "zoo": cases.of_model, "metadata": cases.of_metadata,
          "input": cases.of_input, "results": cases.of_results,
          **{kind: artifact_cases.case_of(kind) for kind in artifacts.KINDS}}
