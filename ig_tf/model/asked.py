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
      feeds: which tensors shall be inputs, see feed_choice.py.
      fixes: values of scalars, see fixes.py.
    """

    tags: object = None
    signature: object = None
    inputs: object = None
    outputs: object = None
    session: object = None
    feeds: object = None
    fixes: object = None

    @property
    def names_tensors(self):
        return self.inputs is not None or self.outputs is not None
