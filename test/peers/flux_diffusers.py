"""The FLUX transformer in plain PyTorch under the names that diffusers gives its modules, from their
description: what stands in for diffusers where only its names can be had."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F


def rotate(x, cos, sin):
    a, b = x.unflatten(-1, (-1, 2)).unbind(-1)
    return torch.stack([a * cos - b * sin, b * cos + a * sin], -1).flatten(-2)


def positions(ids, axes, theta=10000):
    """ids [L, 3] to the cosines and sines [L, head / 2] of every axis, side by side."""
    parts = [
        ids[:, i : i + 1].double() / theta ** (torch.arange(0, n, 2, dtype=torch.float64) / n)
        for i, n in enumerate(axes)
    ]
    angles = torch.cat(parts, -1)
    return angles.cos().float(), angles.sin().float()


def sinusoid(t, size=256):
    angles = 1000 * t[:, None] * torch.exp(-math.log(10000) * torch.arange(size // 2) / (size // 2))
    return torch.cat([angles.cos(), angles.sin()], -1)


def norm(x, scale, shift):
    return F.layer_norm(x, x.shape[-1:], eps=1e-6) * (1 + scale[:, None]) + shift[:, None]


class RmsNorm(nn.Module):
    def __init__(self, size):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))

    def forward(self, x):
        return F.rms_norm(x, x.shape[-1:], self.weight, 1e-6)


class Modulation(nn.Module):
    def __init__(self, D, parts):
        super().__init__()
        self.parts, self.linear = parts, nn.Linear(D, parts * D)

    def forward(self, vec):
        return self.linear(F.silu(vec)).chunk(self.parts, -1)


class Attention(nn.Module):
    def __init__(self, D, heads, joint):
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k, self.to_v = (nn.Linear(D, D) for _ in range(3))
        self.norm_q, self.norm_k = RmsNorm(D // heads), RmsNorm(D // heads)
        if joint:
            self.add_q_proj, self.add_k_proj, self.add_v_proj = (nn.Linear(D, D) for _ in range(3))
            self.norm_added_q, self.norm_added_k = RmsNorm(D // heads), RmsNorm(D // heads)
            self.to_out, self.to_add_out = nn.ModuleList([nn.Linear(D, D)]), nn.Linear(D, D)

    def split(self, x):
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def attend(self, q, k, v, cos, sin):
        y = F.scaled_dot_product_attention(rotate(q, cos, sin), rotate(k, cos, sin), v)
        return y.transpose(1, 2).flatten(-2)

    def forward(self, x, cos, sin, text=None):
        q, k, v = (self.split(f(x)) for f in (self.to_q, self.to_k, self.to_v))
        q, k = self.norm_q(q), self.norm_k(k)
        if text is None:
            return self.attend(q, k, v, cos, sin)
        added = (self.add_q_proj, self.add_k_proj, self.add_v_proj)
        tq, tk, tv = (self.split(f(text)) for f in added)
        tq, tk = self.norm_added_q(tq), self.norm_added_k(tk)
        joint = (torch.cat(pair, 2) for pair in ((tq, q), (tk, k), (tv, v)))
        y = self.attend(*joint, cos, sin)
        n = text.shape[1]
        return self.to_out[0](y[:, n:]), self.to_add_out(y[:, :n])


class Gelu(nn.Module):
    def __init__(self, D):
        super().__init__()
        self.proj = nn.Linear(D, 4 * D)

    def forward(self, x):
        return F.gelu(self.proj(x), approximate="tanh")


class FeedForward(nn.Module):
    def __init__(self, D):
        super().__init__()
        self.net = nn.ModuleList([Gelu(D), nn.Identity(), nn.Linear(4 * D, D)])

    def forward(self, x):
        return self.net[2](self.net[0](x))


class Double(nn.Module):
    def __init__(self, D, heads):
        super().__init__()
        self.norm1, self.norm1_context = Modulation(D, 6), Modulation(D, 6)
        self.attn = Attention(D, heads, joint=True)
        self.ff, self.ff_context = FeedForward(D), FeedForward(D)

    def forward(self, x, text, vec, cos, sin):
        ours, theirs = self.norm1(vec), self.norm1_context(vec)
        a, b = self.attn(norm(x, ours[1], ours[0]), cos, sin, norm(text, theirs[1], theirs[0]))
        out = []
        for y, attended, m, ff in ((x, a, ours, self.ff), (text, b, theirs, self.ff_context)):
            y = y + m[2][:, None] * attended
            out.append(y + m[5][:, None] * ff(norm(y, m[4], m[3])))
        return out


class Single(nn.Module):
    def __init__(self, D, heads):
        super().__init__()
        self.norm, self.attn = Modulation(D, 3), Attention(D, heads, joint=False)
        self.proj_mlp, self.proj_out = nn.Linear(D, 4 * D), nn.Linear(5 * D, D)

    def forward(self, x, vec, cos, sin):
        shift, scale, gate = self.norm(vec)
        y = norm(x, scale, shift)
        h = F.gelu(self.proj_mlp(y), approximate="tanh")
        return x + gate[:, None] * self.proj_out(torch.cat([self.attn(y, cos, sin), h], -1))


class Embedder(nn.Module):
    def __init__(self, inputs, D):
        super().__init__()
        self.linear_1, self.linear_2 = nn.Linear(inputs, D), nn.Linear(D, D)

    def forward(self, x):
        return self.linear_2(F.silu(self.linear_1(x)))


class Flux(nn.Module):
    """@param config: diffusers' config.json"""

    def __init__(self, config):
        super().__init__()
        heads, size = config["num_attention_heads"], config["attention_head_dim"]
        D = heads * size
        self.axes = config["axes_dims_rope"]
        self.x_embedder = nn.Linear(config["in_channels"], D)
        self.context_embedder = nn.Linear(config["joint_attention_dim"], D)
        embed = {"timestep_embedder": Embedder(256, D)}
        if config["guidance_embeds"]:
            embed["guidance_embedder"] = Embedder(256, D)
        embed["text_embedder"] = Embedder(config["pooled_projection_dim"], D)
        self.time_text_embed = nn.ModuleDict(embed)
        self.transformer_blocks = nn.ModuleList(Double(D, heads) for _ in range(config["num_layers"]))
        self.single_transformer_blocks = nn.ModuleList(
            Single(D, heads) for _ in range(config["num_single_layers"])
        )
        self.norm_out = Modulation(D, 2)
        self.proj_out = nn.Linear(D, config["in_channels"])

    def forward(self, img, txt, pooled, timestep, guidance, ids):
        cos, sin = positions(ids, self.axes)
        embed = self.time_text_embed
        vec = embed["timestep_embedder"](sinusoid(timestep)) + embed["text_embedder"](pooled)
        if "guidance_embedder" in embed:
            vec = vec + embed["guidance_embedder"](sinusoid(guidance))
        x, text = self.x_embedder(img), self.context_embedder(txt)
        for block in self.transformer_blocks:
            x, text = block(x, text, vec, cos, sin)
        n = text.shape[1]
        x = torch.cat([text, x], 1)
        for block in self.single_transformer_blocks:
            x = block(x, vec, cos, sin)
        scale, shift = self.norm_out(vec)  # diffusers' order
        return self.proj_out(norm(x[:, n:], scale, shift))
