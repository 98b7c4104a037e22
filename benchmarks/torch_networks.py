"""Plain PyTorch twins of TranSMS, SMRnet and VRF-Net, and the way of the weights from flax into them.

The twins are written for reading and comparing: channels first, library layers throughout. Their modules have the names of the flax
modules, so that `load` is the same for all. TranSMS is the full network with the convolutional transformer and the dense blocks,
VRF-Net the parallel one, its patches dividing the grid.
"""

import math

import numpy as np
import torch
from torch import nn
from torch.nn import functional


class ConvProjection(nn.Module):
    def __init__(self, features, inner):
        super().__init__()
        self.depthwise = nn.Conv2d(features, features, 3, padding=1, groups=features)
        self.norm = nn.BatchNorm2d(features)
        self.pointwise = nn.Conv2d(features, inner, 1)

    def forward(self, x):
        return self.pointwise(self.norm(self.depthwise(x)))


class TransformerBlock(nn.Module):
    """On a map (b, k, h, w); norms and linear layers act on tokens (b, h w, k)."""

    def __init__(self, features, heads):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(features)
        self.query, self.key, self.value = (ConvProjection(features, heads * features) for _ in range(3))
        self.out = nn.Linear(heads * features, features)
        self.norm_mlp = nn.LayerNorm(features)
        self.expand = nn.Linear(features, 2 * features)
        self.contract = nn.Linear(2 * features, features)

    def forward(self, x):
        b, k, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)
        normal = self.norm_attention(tokens).transpose(1, 2).reshape(b, k, h, w)
        q, key, v = (
            project(normal).reshape(b, self.heads, k, h * w).transpose(2, 3)
            for project in (self.query, self.key, self.value)
        )
        weights = torch.softmax(q @ key.transpose(2, 3) / math.sqrt(k), dim=-1)
        tokens = tokens + self.out((weights @ v).transpose(1, 2).reshape(b, h * w, -1))
        tokens = tokens + self.contract(functional.gelu(self.expand(self.norm_mlp(tokens))))
        return tokens.transpose(1, 2).reshape(b, k, h, w)


class ConvTransformer(nn.Module):
    def __init__(self, n_in, features, heads):
        super().__init__()
        convs = [nn.Conv2d(n, features, 3, stride, 1) for n, stride in ((n_in, 1), (features, 1), (features, 2))]
        self.embed = nn.ModuleList(convs)
        self.norms = nn.ModuleList([nn.LayerNorm(features) for _ in range(3)])
        self.blocks = nn.ModuleList([TransformerBlock(features, heads) for _ in range(3)])
        self.conv = nn.Conv2d(features, features, 3, padding=1)
        self.upsample = nn.Conv2d(features, 4 * features, 3, padding=1)

    def forward(self, x):
        for embed, norm, block in zip(self.embed, self.norms, self.blocks, strict=True):
            x = block(norm(embed(x).permute(0, 2, 3, 1)).permute(0, 3, 1, 2))
        return functional.leaky_relu(functional.pixel_shuffle(self.upsample(self.conv(x)), 2))


class DenseBlock(nn.Module):
    def __init__(self, features, growth, layers):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(features + growth * i, growth, 3, padding=1) for i in range(layers)])
        self.fuse = nn.Conv2d(features + growth * layers, features, 1)

    def forward(self, x):
        dense = x
        for conv in self.convs:
            dense = torch.cat([dense, torch.relu(conv(dense))], 1)
        return x + self.fuse(dense)


class ResidualDense(nn.Module):
    def __init__(self, n_in, features, growth, blocks, layers):
        super().__init__()
        self.stem = nn.Conv2d(n_in, features, 3, padding=1)
        self.first = nn.Conv2d(features, features, 3, padding=1)
        self.blocks = nn.ModuleList([DenseBlock(features, growth, layers) for _ in range(blocks)])
        self.fuse = nn.Conv2d(blocks * features, features, 1)
        self.last = nn.Conv2d(features, features, 3, padding=1)

    def forward(self, x):
        stem = self.stem(x)
        hidden, outputs = self.first(stem), []
        for block in self.blocks:
            hidden = block(hidden)
            outputs.append(hidden)
        return stem + self.last(self.fuse(torch.cat(outputs, 1)))


class TranSMS(nn.Module):
    def __init__(
        self, channels, scale, features, layers, embed, heads, local_features, growth, blocks, fused_features, **rest
    ):
        super().__init__()
        assert (rest["context"], rest["local"]) == ("cvt", "rdn"), rest
        self.scale, self.data_consistency = scale, rest["data_consistency"]
        self.first = nn.Conv2d(channels, features, 3, padding=1)
        self.paths = nn.ModuleDict(
            {
                "context": ConvTransformer(features, embed, heads),
                "local": ResidualDense(features, local_features, growth, blocks, layers),
            }
        )
        self.fuse = nn.Conv2d(embed + local_features, fused_features, 3, padding=1)
        self.upsample = nn.ModuleList(
            [nn.Conv2d(fused_features, 4 * fused_features, 3, padding=1) for _ in range(int(math.log2(scale)))]
        )
        self.last = nn.Conv2d(fused_features, channels, 3, padding=1)

    def forward(self, x, noise_level=0.0):
        """Rows (b, c, h, w) and their noise, a number or (b,), to rows (b, c, h scale, w scale)."""
        h, w = x.shape[2:]
        first = self.first(functional.pad(x, (0, w % 2, 0, h % 2), mode="replicate"))
        hidden = self.fuse(torch.cat([self.paths["context"](first), self.paths["local"](first)], 1))
        for conv in self.upsample:
            hidden = functional.leaky_relu(functional.pixel_shuffle(conv(hidden), 2))
        fine = self.last(hidden)[:, :, : h * self.scale, : w * self.scale]
        if not self.data_consistency:
            return fine
        residual = x - functional.avg_pool2d(fine, self.scale)
        norm = residual.flatten(1).norm(dim=1).clamp(min=1e-30)
        step = (1 - math.sqrt(h * w) * noise_level / norm).clamp(min=0).reshape(-1, 1, 1, 1)
        return fine + step * functional.interpolate(residual, scale_factor=self.scale, mode="nearest")


class SMRDenseBlock(nn.Module):
    def __init__(self, features, growth):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv2d(features + growth * i, growth, 3, padding=1) for i in range(4)])
        self.last = nn.Conv2d(features + 4 * growth, features, 3, padding=1)

    def forward(self, x):
        dense = x
        for conv in self.convs:
            dense = torch.cat([dense, functional.leaky_relu(conv(dense), 0.2)], 1)
        return x + 0.2 * self.last(dense)


class SMRnet(nn.Module):
    def __init__(self, channels, scale, features, growth, blocks, **rest):
        super().__init__()
        assert rest["dimensions"] == 2, rest
        self.first = nn.Conv2d(channels, features, 3, padding=1)
        self.blocks = nn.ModuleList(
            [nn.ModuleList([SMRDenseBlock(features, growth) for _ in range(3)]) for _ in range(blocks)]
        )
        self.trunk = nn.Conv2d(features, features, 3, padding=1)
        self.upsample = nn.ModuleList(
            [nn.Conv2d(features, features, 3, padding=1) for _ in range(int(math.log2(scale)))]
        )
        self.fine = nn.Conv2d(features, features, 3, padding=1)
        self.last = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, x):
        shallow = hidden = self.first(x)
        for dense_blocks in self.blocks:
            inner = hidden
            for block in dense_blocks:
                inner = block(inner)
            hidden = hidden + 0.2 * inner
        hidden = shallow + self.trunk(hidden)
        for conv in self.upsample:
            hidden = functional.leaky_relu(conv(functional.interpolate(hidden, scale_factor=2, mode="nearest")), 0.2)
        return self.last(functional.leaky_relu(self.fine(hidden), 0.2))


class EncoderLayer(nn.Module):
    def __init__(self, features, heads, head_features, hidden):
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(features)
        self.query_key_value = nn.Linear(features, 3 * heads * head_features)
        self.projection = nn.Linear(heads * head_features, features)
        self.norm_mlp = nn.LayerNorm(features)
        self.expand = nn.Linear(features, hidden)
        self.contract = nn.Linear(hidden, features)

    def forward(self, tokens):
        b, n, _ = tokens.shape
        qkv = self.query_key_value(self.norm_attention(tokens)).reshape(b, n, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        attended = functional.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        tokens = tokens + self.projection(attended.transpose(1, 2).reshape(b, n, -1))
        return tokens + self.contract(torch.relu(self.expand(self.norm_mlp(tokens))))


class PatchEncoder(nn.Module):
    def __init__(self, channels, features, depth, heads, head_features, hidden, patch, input_shape):
        super().__init__()
        self.embed = nn.Conv2d(channels, features, patch, patch)
        tokens = (input_shape[0] // patch) * (input_shape[1] // patch)
        self.position = nn.Parameter(torch.zeros(1, tokens, features))
        self.layers = nn.ModuleList([EncoderLayer(features, heads, head_features, hidden) for _ in range(depth)])
        self.unpatchify = nn.Linear(features, features * patch**2)
        self.patch = patch

    def forward(self, x):
        tokens = self.embed(x)
        b, _, h, w = tokens.shape
        tokens = tokens.flatten(2).transpose(1, 2) + self.position
        for layer in self.layers:
            tokens = layer(tokens)
        return functional.pixel_shuffle(self.unpatchify(tokens).transpose(1, 2).reshape(b, -1, h, w), self.patch)


class ResidualBlock(nn.Module):
    def __init__(self, features):
        super().__init__()
        self.conv1 = nn.Conv2d(features, features, 3, padding=1)
        self.norm1 = nn.BatchNorm2d(features)
        self.conv2 = nn.Conv2d(features, features, 3, padding=1)
        self.norm2 = nn.BatchNorm2d(features)

    def forward(self, x):
        hidden = torch.relu(self.norm1(self.conv1(x)))
        return x + torch.relu(self.norm2(self.conv2(hidden)))


class VRFNet(nn.Module):
    """Without the Keys upsampling that the network corrects: what it adds."""

    def __init__(self, channels, scale, input_shape, features, blocks, embed, depth, heads, mlp, patch_size, **rest):
        super().__init__()
        assert rest["skips"] and not rest["serial"], rest
        self.encoder = PatchEncoder(channels, embed, depth, heads, rest["head_features"], mlp, patch_size, input_shape)
        self.stem = nn.Conv2d(channels, embed, 3, padding=1)
        self.fuse = nn.Conv2d(2 * embed, features, 3, padding=1)
        self.blocks = nn.ModuleList([ResidualBlock(features) for _ in range(blocks)])
        self.upsample = nn.ModuleList(
            [nn.Conv2d(features, 4 * features, 3, padding=1) for _ in range(int(math.log2(scale)))]
        )
        self.last = nn.Conv2d(features, channels, 3, padding=1)

    def forward(self, x):
        fused = hidden = self.fuse(torch.cat([self.encoder(x), self.stem(x)], 1))
        for block in self.blocks:
            hidden = block(hidden)
        hidden = hidden + fused
        for conv in self.upsample:
            hidden = functional.pixel_shuffle(conv(hidden), 2)
        return self.last(hidden)


TWINS = {"transms": TranSMS, "smrnet": SMRnet, "vrfnet": VRFNet}


def twin(config, arrays):
    """The twin of a network, in training mode.

    Args:
        config: ``model.config`` of the flax network.
        arrays: its variables by path, as `mpijax.training.state.by_path` of its `Weights` gives them
            ("params/fuse/kernel", "batch_stats/../mean").
    """
    options = {key: value for key, value in config.items() if key != "name"}
    if config["name"] != "vrfnet":
        options.pop("input_shape")
    module = TWINS[config["name"]](**options)
    load(module, arrays)
    return module


def load(module, arrays):
    """Copy flax variables into the module with the same names; every one must have its place, and every place be filled."""
    names = {"kernel": "weight", "scale": "weight", "mean": "running_mean", "var": "running_var"}
    state = {}
    for path, array in arrays.items():
        *modules, kind = path.split("/")[1:]
        array = np.asarray(array)
        if kind == "kernel":  # (h, w, in, out) -> (out, in, h, w), (in, out) -> (out, in)
            array = array.transpose(3, 2, 0, 1) if array.ndim == 4 else array.T
        state[".".join([*modules, names.get(kind, kind)])] = torch.from_numpy(array.copy())
    counters = {key: value for key, value in module.state_dict().items() if key.endswith("num_batches_tracked")}
    module.load_state_dict(state | counters)
