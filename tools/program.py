"""How every program of this folder runs: absl flags in, one line for an error, an exit code out."""

import contextlib
import os
import sys
import tempfile

from absl import app, flags

from ig_tf.errors import IgTfError


def run(main, arguments, doc):
    """Runs `main` under absl and ends the process; errors of ig_tf become one line and status 2."""
    if {"--help", "-h", "-help"} & set(arguments[1:]):
        module = main.__module__ if main.__module__ != "__main__" else sys.argv[0]
        print(f"{doc.strip()}\n\nflags:\n{flags.FLAGS.module_help(module).partition(chr(10))[2]}")
        sys.exit(0)

    def guarded(positional):
        if len(positional) > 1:
            raise app.UsageError(f"what is {positional[1]!r}? Everything is a --flag=value.")
        if getattr(main, "needs_tensorflow", True):
            _import_tensorflow_quietly()
        try:
            return main(positional)
        except IgTfError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            return 130

    app.run(guarded, argv=arguments)  # ends the process


def _import_tensorflow_quietly():
    """TensorFlow says things on import that are no news to the user; errors still come through."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    if "tensorflow" in sys.modules:
        return
    with tempfile.TemporaryFile() as said, _standard_error_to(said):
        try:
            import tensorflow as tf
            tf.constant(0)  # the runtime's own greetings
            tf.get_logger().setLevel("ERROR")
            from absl import logging
            logging.set_verbosity(logging.ERROR)
        except BaseException:
            said.seek(0)
            sys.stderr.buffer.write(said.read())
            raise


@contextlib.contextmanager
def _standard_error_to(file):
    sys.stderr.flush()
    kept = os.dup(2)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
