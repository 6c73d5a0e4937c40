"""Every refusal of ig_tf, one class per kind.

Each message says what was needed, what was found and what to do. The command line prints the
message alone and exits with status 2; Python callers catch `IgTfError` or a kind of it.
"""


class IgTfError(Exception):
    """Base class of every error that ig_tf raises on purpose."""


class ArtifactError(IgTfError):
    """The model artifact cannot be read, or is not what it was said to be."""


class SignatureError(IgTfError):
    """No such tag set or signature, or the choice between several is not clear."""


class TargetError(IgTfError):
    """The explained quantity is not one floating-point number per example."""


class PointError(IgTfError):
    """A place of attribution does not exist, has no gradient or does not reach the target."""


class BaselineError(IgTfError):
    """A baseline has a wrong name, shape or type."""


class MethodError(IgTfError):
    """No such method, or it does not take what was asked of it."""


class GraphError(IgTfError):
    """The graph holds something that cannot be copied or differentiated without lying."""


class CalibrationError(IgTfError):
    """No rule that was tried reaches the error that was asked for, or the rows do not allow it."""


class CompileError(GraphError):
    """The path and its gradient cannot be compiled by XLA."""


class JobError(IgTfError):
    """A batch job cannot start, go on, or be continued."""


class OutputError(IgTfError):
    """The output exists already, or cannot be written."""


class ExplanationMetadataError(IgTfError):
    """An explanation_metadata.json cannot be read, or does not say what it must."""


class RecordError(IgTfError):
    """An input record or an input file does not fit the model's signature."""


class ResultsError(IgTfError, ValueError):
    """A results file cannot be read or written as asked."""


class RuntimeProfileError(IgTfError):
    """A runtime profile does not exist, or has unknown fields or wrong values."""


class ServerError(IgTfError):
    """A server of models cannot be reached, lacks the model, or answers something else."""
