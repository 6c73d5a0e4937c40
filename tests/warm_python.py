"""A Python that has imported TensorFlow once and answers each command in a process of its own.

The commands of a page would each wait four seconds for TensorFlow. Here one process imports it,
without starting it, and forks for each command: what runs is the program, with its own arguments,
folder, environment, files and exit status, as if it had been started by the shell.

    with warm_python.commands(folder) as environment:
        subprocess.run(["bash", "-c", "ig-tf --version"], env=environment)

puts `ig-tf` and `python` into a folder on the PATH of the shell.
"""

import array
import contextlib
import json
import os
import pathlib
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback

REPO = pathlib.Path(__file__).resolve().parent.parent
CRASHED = 134  # a command that was ended by a signal

_ON_PATH = """#!/bin/sh
exec "{python}" -IS "{client}" {name} "$@"
"""
# What runs first for each command, so it imports little.
_CLIENT = """import array, os, socket, sys
import json
door = socket.socket(socket.AF_UNIX)
door.connect({address!r})
asked = {{"program": sys.argv[1], "arguments": sys.argv[2:], "folder": os.getcwd(),
         "environment": dict(os.environ)}}
files = array.array("i", [0, 1, 2])
door.sendmsg([json.dumps(asked).encode() + b"\\n"],
             [(socket.SOL_SOCKET, socket.SCM_RIGHTS, files)])
status = door.recv(16)
sys.exit(int(status) if status else {crashed})
"""


@contextlib.contextmanager
def commands(folder):
    """An environment for shells in which `ig-tf` and `python` are answered by forks.

    Args:
      folder: an empty folder for the programs and the socket; its path is short.
    """
    address, client = str(folder / "door"), folder / "client.py"
    client.write_text(_CLIENT.format(address=address, crashed=CRASHED))
    for name in ("ig-tf", "python"):
        program = folder / name
        program.write_text(_ON_PATH.format(python=sys.executable, client=client, name=name))
        program.chmod(0o755)
    environment = {**os.environ, "PYTHONPATH": str(REPO), "PYTHONUTF8": "1",
                   "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
    process = subprocess.Popen([sys.executable, __file__, address], env=environment, cwd=REPO,
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        said = process.stdout.readline()
        if said.strip() != "ready":
            raise RuntimeError(f"no Python with TensorFlow could be started: {said!r}")
        yield {**environment, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}
    finally:
        process.stdin.close()  # which ends it
        process.wait(30)
        process.stdout.close()


# The process that forks -------------------------------------------------------------------------


def serve(address):
    """Answers commands until standard input ends."""
    _import()
    door = socket.socket(socket.AF_UNIX)
    door.bind(address)
    door.listen()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for a command but its client
    print("ready", flush=True)
    while sys.stdin not in (ready := select.select([door, sys.stdin], [], [])[0]):
        if door in ready:
            client, _ = door.accept()
            if os.fork() == 0:
                door.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _answer(client)
            client.close()
    os._exit(0)  # TensorFlow takes seconds to put itself away


def _import():
    """TensorFlow as `tools.program` imports it, but nothing that starts threads of its own."""
    import absl.logging
    import keras  # noqa: F401
    import tensorflow as tf
    import tensorflow_hub  # noqa: F401

    from ig_tf import api, calibration, checking, warm_up  # noqa: F401
    tf.get_logger().setLevel("ERROR")
    absl.logging.set_verbosity(absl.logging.ERROR)


def _answer(client):
    """One command, from its files to its status; does not return."""
    status = 1
    try:
        asked = _received(client)
        os.chdir(asked["folder"])
        os.environ.clear()
        os.environ.update(asked["environment"])
        threading.Thread(target=_end_with, args=[client], daemon=True).start()
        status = _status_of(asked["program"], asked["arguments"])
    except BaseException:
        traceback.print_exc()
    with contextlib.suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    client.sendall(str(status).encode())
    os._exit(status)


def _end_with(client):
    """A command whose client was killed ends too."""
    client.recv(1)
    os._exit(CRASHED)


def _received(client):
    data, files = b"", array.array("i")
    while not data.endswith(b"\n"):
        part, extra, _, _ = client.recvmsg(1 << 16, socket.CMSG_LEN(3 * files.itemsize))
        if not part:
            raise EOFError("the command ended before it began")
        data += part
        for _, _, content in extra:
            files.frombytes(content)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    return json.loads(data)


def _status_of(program, arguments):
    """Runs it; its exit status."""
    try:
        if program == "ig-tf":
            from ig_tf import cli
            return int(cli.main(["ig-tf", *arguments]) or 0)
        _python(arguments)
        return 0
    except SystemExit as ended:
        if ended.code is None or isinstance(ended.code, int):
            return int(ended.code or 0) & 0xFF
        print(ended.code, file=sys.stderr)
        return 1
    except BaseException:
        traceback.print_exc()
        return 1


def _python(arguments):
    """`python -m MODULE ...`, `python FILE ...`, `python - < PROGRAM`."""
    if arguments[:1] == ["-m"]:
        sys.argv = arguments[1:]
        sys.path.insert(0, os.getcwd())
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments and arguments[0] != "-":
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
    else:
        sys.argv = ["-"]
        sys.path.insert(0, os.getcwd())
        module = type(sys)("__main__")
        sys.modules["__main__"] = module
        exec(compile(sys.stdin.read(), "page", "exec"), module.__dict__)


if __name__ == "__main__":
    serve(sys.argv[1])
