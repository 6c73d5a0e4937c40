"""The same networks in PyTorch, as its users write them, with the weights loaded."""

import torch
from torch import nn

from tools.benchmarks.models import RESNET_STAGES


def lookup(model, weights, inputs):
    """What is attributed: the embedded ids, or the picture as channels, height, width."""
    inputs = torch.from_numpy(inputs)
    if model.vocabulary:
        return weights["table"][inputs]
    return inputs.permute(0, 3, 1, 2).contiguous()


def to_rows(model, attribution):
    """Attributions in the order of the model's own input."""
    array = attribution.detach().cpu()
    return (array if model.vocabulary else array.permute(0, 2, 3, 1)).numpy()


def build(model, weights):
    """The network as a module: x -> [rows] for one class, else [rows, classes]."""
    layers = _NETWORKS[model.name](weights)
    ending = (nn.Sequential(nn.Sigmoid(), nn.Flatten(0)) if model.classes == 1
              else nn.Softmax(dim=1))
    module = nn.Sequential(layers, ending).eval()
    return module.requires_grad_(False)


def _linear(weights, name, bias=None):
    kernel = weights[name]
    layer = nn.Linear(*kernel.shape)
    with torch.no_grad():
        layer.weight.copy_(kernel.T)
        layer.bias.copy_(weights[bias or f"{name}_bias"])
    return layer


def _chain(weights, count):
    layers = [_linear(weights, "dense0")]
    for number in range(1, count):
        layers += [nn.ReLU(), _linear(weights, f"dense{number}")]
    return layers


class _Mean(nn.Module):
    def __init__(self, *dims):
        super().__init__()
        self.dims = dims

    def forward(self, x):
        return x.mean(self.dims)


class _TextCnn(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.convolutions = nn.ModuleList()
        for size in (3, 4, 5):
            layer = nn.Conv1d(*weights[f"conv{size}"].shape[1:], size)
            with torch.no_grad():
                layer.weight.copy_(weights[f"conv{size}"].permute(2, 1, 0))
                layer.bias.copy_(weights[f"conv{size}_bias"])
            self.convolutions.append(layer)
        self.dense = _linear(weights, "dense0")

    def forward(self, x):
        x = x.transpose(1, 2)
        found = [torch.relu(layer(x)).amax(2) for layer in self.convolutions]
        return self.dense(torch.cat(found, 1))


class _Gru(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.layer = nn.GRU(weights["input"].shape[0], 128, batch_first=True)
        with torch.no_grad():
            self.layer.weight_ih_l0.copy_(weights["input"].T)
            self.layer.weight_hh_l0.copy_(weights["state"].T)
            self.layer.bias_ih_l0.copy_(weights["input_bias"])
            self.layer.bias_hh_l0.copy_(weights["state_bias"])
        self.dense = _linear(weights, "dense0")

    def forward(self, x):
        return self.dense(self.layer(x)[1][0])


class _Layer(nn.Module):
    """One post-norm layer, with the attention written out (a fused one has no faster gradient)."""

    def __init__(self, weights, layer):
        super().__init__()
        for name in ("query", "key", "value", "mixed"):
            setattr(self, name, _linear(weights, f"{name}{layer}"))
        self.wide = _linear(weights, f"wide{layer}_0")
        self.narrow = _linear(weights, f"wide{layer}_1")
        for name in ("first", "second"):
            norm = nn.LayerNorm(self.query.in_features, eps=1e-5)
            with torch.no_grad():
                norm.weight.copy_(weights[f"{name}{layer}_scale"])
                norm.bias.copy_(weights[f"{name}{layer}_shift"])
            setattr(self, name, norm)

    def forward(self, x):
        rows, length, width = x.shape
        query, key, value = (part(x).view(rows, length, 4, width // 4).transpose(1, 2)
                             for part in (self.query, self.key, self.value))
        mixed = nn.functional.scaled_dot_product_attention(query, key, value)
        mixed = mixed.transpose(1, 2).reshape(rows, length, width)
        x = self.first(x + self.mixed(mixed))
        return self.second(x + self.narrow(torch.relu(self.wide(x))))


class _Transformer(nn.Module):
    def __init__(self, weights):
        super().__init__()
        self.register_buffer("positions", weights["positions"])
        self.layers = nn.Sequential(_Layer(weights, 0), _Layer(weights, 1))
        self.dense = _linear(weights, "dense0")

    def forward(self, x):
        return self.dense(self.layers(x + self.positions).mean(1))


def _normed(weights, name, stride):
    kernel = weights[name].permute(3, 2, 0, 1)
    wide, narrow, size, _ = kernel.shape
    layer = nn.Conv2d(narrow, wide, size, stride, padding=size // 2, bias=False)
    norm = nn.BatchNorm2d(wide, eps=1.001e-5)
    with torch.no_grad():
        layer.weight.copy_(kernel)
        norm.weight.copy_(weights[f"{name}_scale"])
        norm.bias.copy_(weights[f"{name}_shift"])
    return nn.Sequential(layer, norm)


class _Block(nn.Module):
    def __init__(self, weights, name, first):
        super().__init__()
        self.a = _normed(weights, f"{name}_a", 2 if first else 1)
        self.b = _normed(weights, f"{name}_b", 1)
        self.skip = _normed(weights, f"{name}_skip", 2) if first else nn.Identity()

    def forward(self, x):
        return torch.relu(self.skip(x) + self.b(torch.relu(self.a(x))))


def _resnet(weights):
    blocks = [_Block(weights, f"block{stage}_{block}", block == 0 and stage > 0)
              for stage, (_, count) in enumerate(RESNET_STAGES) for block in range(count)]
    return nn.Sequential(_normed(weights, "stem", 2), nn.ReLU(), *blocks, _Mean(2, 3),
                         _linear(weights, "dense0"))


_NETWORKS = {
    "ranker": lambda weights: nn.Sequential(nn.Flatten(), *_chain(weights, 4)),
    "text_cnn": _TextCnn,
    "pooled": lambda weights: nn.Sequential(_Mean(1), *_chain(weights, 3)),
    "gru": _Gru,
    "transformer": _Transformer,
    "resnet": _resnet,
    "tiny": lambda weights: nn.Sequential(nn.Flatten(), *_chain(weights, 2)),
}
