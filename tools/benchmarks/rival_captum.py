"""captum's IntegratedGradients on the embedded input (without the hooks of
LayerIntegratedGradients, which is its slower way), at Gauss-Legendre nodes, its default.

  python -m tools.benchmarks.rival_captum [cpu|cuda]
"""

import functools
import sys

import numpy as np

from tools.benchmarks import serving


class Captum:
    """A contender; a choice is examples at once and `internal_batch_size`.

    Args:
      device: torch's name of where it runs.
    """

    def __init__(self, device="cpu"):
        self.device = device
        self.model = self.weights = self.module = self.method = None

    def load(self, place, threads):
        import torch
        from captum.attr import IntegratedGradients
        from tools.benchmarks import networks_torch
        torch.set_num_threads(threads)
        self.model = place.model
        self.weights = {name: torch.from_numpy(value).to(self.device)
                        for name, value in place.weights().items()}
        self.module = networks_torch.build(self.model, self.weights).to(self.device)
        self.method = IntegratedGradients(self.module)

    def facts(self):
        import captum
        import torch
        return {"torch": torch.__version__, "captum": captum.__version__}

    def choices(self, batch, nodes):
        found = [(1, None), (1, 25), (4, None), (16, None), (batch, batch), (batch, 4 * batch),
                 (batch, None)]
        known = {(each, rows) for each, rows in found if each <= batch}
        return [{"name": f"{each} at once" + (f", internal_batch_size={rows}" if rows else ""),
                 "each": each, "rows": rows}
                for each, rows in sorted(known, key=lambda pair: (pair[0], pair[1] or 10**9))]

    def predict(self, inputs):
        import torch
        from tools.benchmarks import networks_torch
        with torch.inference_mode():
            x = networks_torch.lookup(self.model, self.weights, inputs).to(self.device)
            return self.module(x).cpu().numpy()

    def attribute(self, inputs, target, nodes, choice):
        import torch
        from tools.benchmarks import networks_torch
        found = []
        for some, labels in serving.parts(inputs, target, choice["each"]):
            x = networks_torch.lookup(self.model, self.weights, some).to(self.device)
            labels = None if self.model.classes == 1 else torch.from_numpy(labels).to(self.device)
            attribution = self.method.attribute(
                x, target=labels,
                n_steps=nodes, method="gausslegendre", internal_batch_size=choice["rows"])
            found.append(networks_torch.to_rows(self.model, attribution))
        return np.concatenate(found)


if __name__ == "__main__":
    serving.serve(functools.partial(Captum, *sys.argv[1:]))
