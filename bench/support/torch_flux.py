"""The FLUX transformer in plain PyTorch, written from its description for timing: fused qkv and linear1 as
in its own checkpoints, scaled_dot_product_attention, RMS norm of q and k, rotation in float32."""

import torch
import torch.nn as nn
import torch.nn.functional as F


def rotate(x, cos, sin):
    a, b = x.float().unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2).to(x.dtype)


def heads_of(x, heads):
    return x.unflatten(-1, (heads, -1)).transpose(1, 2)


class QkNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.query, self.key = (nn.Parameter(torch.ones(size)) for _ in range(2))

    def forward(self, q, k):
        n = q.shape[-1:]
        return F.rms_norm(q, n, self.query, 1e-6), F.rms_norm(k, n, self.key, 1e-6)


class Stream(nn.Module):
    def __init__(self, D, heads):
        super().__init__()
        self.heads = heads
        self.mod = nn.Linear(D, 6 * D)
        self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.norm = QkNorm(D // heads)
        self.mlp = nn.Sequential(nn.Linear(D, 4 * D), nn.GELU("tanh"), nn.Linear(4 * D, D))

    def before(self, x, vec):
        self.parts = self.mod(F.silu(vec))[:, None].chunk(6, -1)
        shift, scale = self.parts[:2]
        y = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        q, k, v = (heads_of(t, self.heads) for t in self.qkv(y).chunk(3, -1))
        return (*self.norm(q, k), v)

    def after(self, x, attended):
        _, _, gate1, shift, scale, gate2 = self.parts
        x = x + gate1 * self.proj(attended)
        y = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        return x + gate2 * self.mlp(y)


def attend(q, k, v, cos, sin):
    y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
    return y.transpose(1, 2).flatten(-2)


class Double(nn.Module):
    def __init__(self, D, heads):
        super().__init__()
        self.img, self.txt = Stream(D, heads), Stream(D, heads)

    def forward(self, img, txt, vec, cos, sin):
        joint = [torch.cat(pair, 2) for pair in zip(self.txt.before(txt, vec), self.img.before(img, vec))]
        y = attend(*joint, cos, sin)
        n = txt.shape[1]
        return self.img.after(img, y[:, n:]), self.txt.after(txt, y[:, :n])


class Single(nn.Module):
    def __init__(self, D, heads):
        super().__init__()
        self.heads, self.D = heads, D
        self.mod = nn.Linear(D, 3 * D)
        self.linear1, self.linear2 = nn.Linear(D, 7 * D), nn.Linear(5 * D, D)
        self.norm = QkNorm(D // heads)

    def forward(self, x, vec, cos, sin):
        shift, scale, gate = self.mod(F.silu(vec))[:, None].chunk(3, -1)
        y = F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift
        qkv, h = self.linear1(y).split([3 * self.D, 4 * self.D], -1)
        q, k, v = (heads_of(t, self.heads) for t in qkv.chunk(3, -1))
        y = attend(*self.norm(q, k), v, cos, sin)
        return x + gate * self.linear2(torch.cat([y, F.gelu(h, approximate="tanh")], -1))


class Flux(nn.Module):
    def __init__(self, D, heads, double, single, context, vector, channels=64):
        super().__init__()
        self.channels = channels
        self.img_in, self.txt_in = nn.Linear(channels, D), nn.Linear(context, D)
        embed = lambda n: nn.Sequential(nn.Linear(n, D), nn.SiLU(), nn.Linear(D, D))  # noqa: E731
        self.time_in, self.guidance_in, self.vector_in = embed(256), embed(256), embed(vector)
        self.double_blocks = nn.ModuleList(Double(D, heads) for _ in range(double))
        self.single_blocks = nn.ModuleList(Single(D, heads) for _ in range(single))
        self.mod, self.out = nn.Linear(D, 2 * D), nn.Linear(D, channels)
        self.size, self.context, self.vector = D // heads, context, vector

    def example(self, img, txt, dtype):
        angles = torch.rand(img + txt, self.size // 2, dtype=torch.float32) * 30
        shapes = [[1, img, self.channels], [1, txt, self.context], [1, self.vector], [1, 256], [1, 256]]
        return [torch.randn(s, dtype=dtype) for s in shapes] + [angles.cos(), angles.sin()]

    def forward(self, img, txt, pooled, time, guidance, cos, sin):
        vec = self.time_in(time) + self.guidance_in(guidance) + self.vector_in(pooled)
        img, txt = self.img_in(img), self.txt_in(txt)
        for block in self.double_blocks:
            img, txt = block(img, txt, vec, cos, sin)
        x = torch.cat([txt, img], 1)
        for block in self.single_blocks:
            x = block(x, vec, cos, sin)
        shift, scale = self.mod(F.silu(vec))[:, None].chunk(2, -1)
        x = x[:, txt.shape[1]:]
        return self.out(F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale) + shift)
