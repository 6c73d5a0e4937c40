"""How every program of this folder runs: absl flags in, one line for an error, an exit code out."""

import contextlib
import os
import sys
import tempfile
import traceback

from absl import app, flags

from ig_tf.errors import IgTfError

UNEXPECTED = 70  # the status of an error that nobody foresaw (EX_SOFTWARE)


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
        except Exception as error:
            print(f"error: {_unexpected(error)}", file=sys.stderr)
            return UNEXPECTED

    app.run(guarded, argv=arguments)  # ends the process


def _unexpected(error):
    """A sentence about an error that is none of ig_tf's own; its traceback goes into a file."""
    what = "".join(traceback.format_exception_only(error)).strip().partition("\n")[0]
    place = traceback.extract_tb(error.__traceback__)[-1]
    said = f"{what} ({os.path.basename(place.filename)}:{place.lineno})"
    try:
        number, file = tempfile.mkstemp(prefix="ig_tf_error_", suffix=".txt")
        with open(number, "w", encoding="utf-8", errors="backslashreplace") as stream:
            traceback.print_exception(error, file=stream)
    except OSError:
        return f"this is a bug of ig-tf, please report it: {said}"
    return f"this is a bug of ig-tf, please report it with {file}: {said}"


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
