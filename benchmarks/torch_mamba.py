"""Plain PyTorch twins of the parts of MPI-Mamba, Restormer and NAFNet, for comparison with the same weights.

Written for reading: maps (b, h, w, k) as in flax where a part is linear over channels, the scan a loop over the steps. Modules and
parameters have the names of the flax ones, so that `load` is the same for all.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class Depthwise(nn.Module):
    """On maps (b, h, w, k)."""

    def __init__(self, features, bias=True):
        super().__init__()
        self.conv = nn.Conv2d(features, features, 3, padding=1, groups=features, bias=bias)

    def forward(self, x):
        return self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)


class SS2D(nn.Module):
    def __init__(self, features, states=16, expand=2):
        super().__init__()
        inner, rank = expand * features, math.ceil(features / 16)
        self.rank, self.states = rank, states
        self.project = nn.Linear(features, 2 * inner, bias=False)
        self.depthwise = Depthwise(inner)
        self.norm = nn.LayerNorm(inner)
        self.out = nn.Linear(inner, features, bias=False)
        self.select = nn.Parameter(torch.empty(4, inner, rank + 2 * states))
        self.widen = nn.Parameter(torch.empty(4, rank, inner))
        self.step_bias = nn.Parameter(torch.empty(4, inner))
        self.a_log = nn.Parameter(torch.empty(4, inner, states))
        self.skip = nn.Parameter(torch.empty(4, inner))

    def scan(self, u, k):
        """Direction k over sequences (b, l, d)."""
        low, b, c = (u @ self.select[k]).split([self.rank, self.states, self.states], dim=-1)
        step = functional.softplus(low @ self.widen[k] + self.step_bias[k])
        a = -torch.exp(self.a_log[k])
        h, y = torch.zeros(u.shape[0], *a.shape), []
        for t in range(u.shape[1]):
            h = torch.exp(step[:, t, :, None] * a) * h + (step[:, t] * u[:, t])[..., None] * b[:, t, None]
            y.append((h * c[:, t, None]).sum(-1))
        return torch.stack(y, 1) + self.skip[k] * u

    def forward(self, x):
        values, gate = self.project(x).chunk(2, dim=-1)
        u = functional.silu(self.depthwise(values))
        size, turned = u.shape, u.transpose(1, 2)
        rows, columns = u.flatten(1, 2), turned.flatten(1, 2)
        y = self.scan(rows, 0).reshape(size) + self.scan(columns, 1).reshape(turned.shape).transpose(1, 2)
        y = y + self.scan(rows.flip(1), 2).flip(1).reshape(size)
        y = y + self.scan(columns.flip(1), 3).flip(1).reshape(turned.shape).transpose(1, 2)
        return self.out(self.norm(y) * functional.silu(gate))


class CrossAttention(nn.Module):
    def __init__(self, features, heads, latent):
        super().__init__()
        self.heads = heads
        self.norm, self.norm_latent = nn.LayerNorm(features), nn.LayerNorm(latent)
        self.query = nn.Linear(features, features, bias=False)
        self.key_value = nn.Linear(latent, 2 * features, bias=False)
        self.out = nn.Linear(features, features)

    def forward(self, x, z):
        key, value = self.key_value(self.norm_latent(z)).chunk(2, dim=-1)
        query, key, value = (
            t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for t in (self.query(self.norm(x)).flatten(1, 2), key, value)
        )
        weights = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(query.shape[-1]), dim=-1)
        return x + self.out((weights @ value).transpose(1, 2).reshape(x.shape))


class ChannelAttention(nn.Module):
    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.project = nn.Linear(features, 3 * features, bias=False)
        self.depthwise = Depthwise(3 * features, bias=False)
        self.temperature = nn.Parameter(torch.empty(heads, 1, 1))
        self.out = nn.Linear(features, features, bias=False)

    def forward(self, x):
        query, key, value = (
            part.flatten(1, 2).transpose(1, 2).unflatten(1, (self.heads, -1))
            for part in self.depthwise(self.project(x)).chunk(3, dim=-1)
        )
        query, key = functional.normalize(query, dim=-1), functional.normalize(key, dim=-1)
        weights = torch.softmax(query @ key.transpose(2, 3) * self.temperature, dim=-1)
        return self.out((weights @ value).flatten(1, 2).transpose(1, 2).reshape(x.shape))


class GatedFeedForward(nn.Module):
    def __init__(self, features):
        super().__init__()
        hidden = int(2.66 * features)
        self.expand = nn.Linear(features, 2 * hidden, bias=False)
        self.depthwise = Depthwise(2 * hidden, bias=False)
        self.contract = nn.Linear(hidden, features, bias=False)

    def forward(self, x):
        gate, values = self.depthwise(self.expand(x)).chunk(2, dim=-1)
        return self.contract(functional.gelu(gate) * values)


class NAFBlock(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.norm_mix, self.norm_gate = nn.LayerNorm(features, eps=1e-6), nn.LayerNorm(features, eps=1e-6)
        self.expand, self.widen = nn.Linear(features, 2 * features), nn.Linear(features, 2 * features)
        self.depthwise = Depthwise(2 * features)
        self.weigh, self.mix, self.contract = (nn.Linear(features, features) for _ in range(3))
        self.beta, self.gamma = nn.Parameter(torch.empty(features)), nn.Parameter(torch.empty(features))

    def forward(self, x):
        first, second = self.depthwise(self.expand(self.norm_mix(x))).chunk(2, dim=-1)
        hidden = first * second
        hidden = hidden * self.weigh(hidden.mean((1, 2), keepdim=True))
        x = x + self.mix(hidden) * self.beta
        first, second = self.widen(self.norm_gate(x)).chunk(2, dim=-1)
        return x + self.contract(first * second) * self.gamma


class TokenMixer(nn.Module):
    def __init__(self, tokens, features, expand):
        super().__init__()
        self.norm_tokens, self.norm_channels = nn.LayerNorm(features), nn.LayerNorm(features)
        self.tokens_in, self.tokens_out = nn.Linear(tokens, tokens // 2), nn.Linear(tokens // 2, tokens)
        self.channels_in = nn.Linear(features, expand * features)
        self.channels_out = nn.Linear(expand * features, features)

    def forward(self, x):
        across = self.tokens_out(functional.gelu(self.tokens_in(self.norm_tokens(x).transpose(1, 2))))
        x = x + across.transpose(1, 2)
        return x + self.channels_out(functional.gelu(self.channels_in(self.norm_channels(x))))


class LatentEncoder(nn.Module):
    def __init__(self, channels, features, blocks, side):
        super().__init__()
        self.side = side
        self.first = nn.Conv2d(16 * channels, features, 3, padding=1)
        self.blocks = nn.ModuleList(
            [nn.ModuleList([nn.Conv2d(features, features, 3, padding=1) for _ in range(2)]) for _ in range(blocks)]
        )
        self.last = nn.Conv2d(features, features, 3, padding=1)
        self.mixer = TokenMixer(side**2, features, 4)
        self.out = nn.Linear(features, 4 * features)

    def forward(self, x):
        """Images (b, h, w, c) to tokens."""
        hidden = functional.gelu(self.first(functional.pixel_unshuffle(x.permute(0, 3, 1, 2), 4)))
        for first, second in self.blocks:
            hidden = hidden + second(functional.gelu(first(hidden)))
        pooled = functional.adaptive_avg_pool2d(self.last(hidden), self.side)
        return functional.gelu(self.out(self.mixer(pooled.flatten(2).transpose(1, 2))))


class Denoiser(nn.Module):
    def __init__(self, tokens, latent, features, blocks=2):
        super().__init__()
        self.time = nn.Parameter(torch.empty(1))
        self.first = nn.Linear(3 * latent, features)
        self.blocks = nn.ModuleList([TokenMixer(tokens, features, 2) for _ in range(blocks)])
        self.last = nn.Linear(features, latent)

    def forward(self, z, t, condition):
        hidden = functional.leaky_relu(self.first(torch.cat([z, (t * self.time).expand(z.shape), condition], -1)), 0.2)
        for block in self.blocks:
            hidden = functional.gelu(block(hidden))
        return functional.gelu(self.last(hidden))


def load(module, arrays):
    """Copy flax variables by path ("depthwise/kernel") into the module with the same names; none may be left over or missing."""
    state = {}
    for path, array in arrays.items():
        *modules, kind = path.split("/")
        array = np.asarray(array)
        if modules and modules[-1] == "depthwise":  # (3, 3, 1, k) -> (k, 1, 3, 3)
            modules.append("conv")
        if kind == "kernel":  # (h, w, in, out) -> (out, in, h, w), (in, out) -> (out, in)
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        names = {"kernel": "weight", "scale": "weight"}
        state[".".join([*modules, names.get(kind, kind)])] = torch.from_numpy(array.copy())
    module.load_state_dict(state)
    return module
