"""What a user asks of a model besides its place."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Asked:
    """None where nothing was said.

    Attributes:
      tags: the tag set of the MetaGraph, where there are several.
      signature: name of the signature to explain.
      inputs, outputs: the tensors of a graph without a signature, see named.py.
      session: the session of a live graph.
    """

    tags: object = None
    signature: object = None
    inputs: object = None
    outputs: object = None
    session: object = None

    @property
    def names_tensors(self):
        return self.inputs is not None or self.outputs is not None
