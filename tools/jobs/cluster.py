"""A standalone cluster of Spark on this machine that loses processes in the middle of a job."""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import time

from tools.jobs import engines, kills, outputs, processes
from tools.jobs.findings import Findings

_REGISTERED = "Successfully registered with master"
_READY_SECONDS = 90.0
_CLASSES = "org.apache.spark.deploy"


class Cluster:
    """A master and workers, each a JVM with one core; made of PySpark's own files.

    Args:
      folder: for logs and the workers' folders.
      count: of workers.

    Attributes:
      master: its address.
      workers: process ids of the workers' JVMs.
    """

    def __init__(self, folder, count=2):
        self._folder, self._started = pathlib.Path(folder), []
        port = _free_port()
        self.master = f"spark://127.0.0.1:{port}"
        self._start("master", "master.Master", f"--port={port}", "--webui-port=0")
        self.workers = [
            self._start(f"worker-{number}", "worker.Worker", "--cores=1", "--memory=1g",
                        "--webui-port=0", f"--work-dir={self._folder / f'worker-{number}'}",
                        self.master) for number in range(count)]

    def _start(self, name, module, *arguments):
        import pyspark
        home = pathlib.Path(pyspark.__file__).parent
        split = [part for argument in arguments for part in argument.split("=", 1)]
        with open(self._folder / f"{name}.log", "wb") as log:
            self._started.append(subprocess.Popen(
                [home / "bin" / "spark-class", f"{_CLASSES}.{module}", "--host", "127.0.0.1",
                 *split], env={**processes.environment(), "SPARK_HOME": str(home),
                               "SPARK_LOCAL_IP": "127.0.0.1", "SPARK_DAEMON_MEMORY": "256m"},
                stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        return self._started[-1].pid

    def wait(self):
        """Waits until the workers are known to the master.

        Raises:
          RuntimeError: they are not, in time.
        """
        logs = [self._folder / f"worker-{number}.log" for number in range(len(self.workers))]
        until = time.monotonic() + _READY_SECONDS
        while not all(_REGISTERED in log.read_text(errors="replace") for log in logs):
            if time.monotonic() > until:
                raise RuntimeError("the cluster is not ready: " + " ".join(
                    log.read_text(errors="replace")[-500:] for log in logs))
            time.sleep(0.1)
        return self

    def close(self):
        """Ends what is left of it, with everything that it started."""
        below = [pid for process in self._started for pid in processes.descendants(process.pid)]
        for process in self._started:
            process.kill()
            process.wait()
        for pid in below:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def python_workers(pid):
    """Python processes below a worker's JVM that answer shards: those that a daemon has forked."""
    below = processes.descendants(pid)
    daemons = {one for one in below if "pyspark.daemon" in processes.command_line(one)}
    return [one for one in daemons if below[one] in daemons]


def executors(pid):
    """JVMs below a worker's own."""
    return [one for one in processes.descendants(pid)
            if "CoarseGrainedExecutorBackend" in processes.command_line(one)]


def run(settings):
    """[`Findings`] of one job that loses a Python worker, an executor and a worker's JVM."""
    findings = Findings(f"A standalone cluster that loses processes, "
                        f"{settings.stopped_records:,} records")
    if engines.missing("spark"):
        findings.note(f"Skipped: {engines.missing('spark')}.")
        return [findings]
    place, asked = settings.folder("cluster"), kills.asked_of(settings, "parquet")
    quiet = kills.calm(asked, place / "calm")
    with contextlib.closing(Cluster(place)) as cluster:
        disturbed(findings, asked, quiet, cluster.wait(), place / "out")
    return [findings]


# (what is killed, which worker of the cluster, function(its JVM) -> processes to choose from)
_LOSSES = (("a Python worker", 1, python_workers), ("an executor (JVM)", 1, executors),
           ("a worker (JVM)", 0, lambda jvm: [jvm]))


def disturbed(findings, asked, quiet, cluster, output):
    """Runs a job on a cluster of two workers, and kills three processes while they write."""
    running = processes.Running(asked, output, "--engine=spark", f"--master={cluster.master}")
    shards = len(quiet.files)
    for what, worker, victims in _LOSSES:
        jvm = cluster.workers[worker]
        goal = max(running.finished(), 1) + shards // 10
        running.wait(lambda: running.finished() >= goal and _writes(jvm, output))
        if running.ended():
            findings.check(False, f"the job ended before it lost {what}: "
                           f"{running.errors()[-500:]}")
            break
        _lose(findings, what, victims(jvm)[0], running)
        findings.row(lost=what, of_worker=worker + 1, shards_then=running.finished(), of=shards)
    status, summary, errors = running.result()
    findings.check(status == 0, f"status {status}: {errors[-1000:]}")
    if status == 0:
        rows = outputs.read(output)
        findings.none(outputs.differences(rows, quiet.rows), "on the cluster")
        findings.none(outputs.other_bytes(output, quiet.files), "on the cluster")
        findings.none(outputs.leftovers(output), "files that were begun are left")
        findings.note(f"{len(rows.digests):,} rows, checksum {rows.checksum()}, as of one process "
                      f"({quiet.rows.checksum()}); {summary['seconds']:.1f} s, undisturbed in one "
                      f"process {quiet.total:.1f} s.")


def _lose(findings, what, victim, running):
    """Kills a process; what it had started ends by itself, even where it was in a shard."""
    lost = [victim, *processes.descendants(victim)]
    os.kill(victim, signal.SIGKILL)
    running.wait(lambda: not any(map(processes.is_alive, lost)), 60)
    findings.none([pid for pid in lost if processes.is_alive(pid)],
                  f"{what}: processes that are still there after a minute")


def _writes(jvm, output):
    """Whether a Python worker below a JVM is in the middle of a shard."""
    mine = set(python_workers(jvm))
    return any(_pid_of(name) in mine for name in outputs.leftovers(output)
               if name.startswith(".part-"))


def _pid_of(name):
    """The process that an unfinished file names: .part-00003-of-00100.parquet.PID-MORE.tmp."""
    number = name.split(".")[-2].partition("-")[0]
    return int(number) if number.isdigit() else None
