"""The command `ig-tf`: a word, then the flags of one of the programs in tools/."""

import importlib
import sys

# word -> (program, what it does)
COMMANDS = {
    "inspect": ("tools.inspect_model", "what a model takes, gives, and can be attributed to"),
    "instrument": ("tools.instrument_model", "writes the model again, with a signature for it"),
    "attribute": ("tools.attribute_records", "runs that signature on a file of inputs"),
    "check": ("tools.check_model", "whether the numbers can be believed; what to do if not"),
    "report": ("tools.render_report", "draws results as one HTML page"),
}


def main(arguments=None):
    """Runs `ig-tf WORD FLAGS`; exits with the program's status."""
    arguments = list(sys.argv if arguments is None else arguments)
    word = arguments[1] if len(arguments) > 1 else "--help"
    if word in ("-h", "--help", "help"):
        print(usage())
        return 0
    if word == "--version":
        print(importlib.import_module("ig_tf").__version__)
        return 0
    if word not in COMMANDS:
        print(f"ig-tf: no command {word!r}\n\n{usage()}", file=sys.stderr)
        return 2
    program = importlib.import_module(COMMANDS[word][0])
    return importlib.import_module("tools.program").run(
        program.main, [f"ig-tf {word}", *arguments[2:]], program.__doc__)


def usage():
    words = "\n".join(f"  ig-tf {word:<11} {what}" for word, (_, what) in COMMANDS.items())
    return ("ig-tf adds Integrated Gradients to the TensorFlow model that you already have.\n\n"
            f"{words}\n\n`ig-tf WORD --help` shows the flags. A first run:\n"
            "  ig-tf inspect --model=DIR\n"
            "  ig-tf instrument --model=DIR --output=OUT\n"
            "  ig-tf attribute --model=OUT --input=FILE --output=results.jsonl\n"
            "  ig-tf report --results=results.jsonl --output=report.html")
