"""The VAE's decoder and a CLIP image tower in plain PyTorch, written from their descriptions for timing."""

import torch
import torch.nn as nn
import torch.nn.functional as F


class Resnet(nn.Module):
    def __init__(self, into, out, groups):
        super().__init__()
        self.norm1, self.norm2 = nn.GroupNorm(groups, into, 1e-6), nn.GroupNorm(groups, out, 1e-6)
        self.conv1, self.conv2 = nn.Conv2d(into, out, 3, padding=1), nn.Conv2d(out, out, 3, padding=1)
        self.shortcut = nn.Conv2d(into, out, 1) if into != out else nn.Identity()

    def forward(self, x):
        y = self.conv1(F.silu(self.norm1(x)))
        return self.shortcut(x) + self.conv2(F.silu(self.norm2(y)))


class PixelAttention(nn.Module):
    def __init__(self, channels, groups):
        super().__init__()
        self.norm = nn.GroupNorm(groups, channels, 1e-6)
        self.q, self.k, self.v, self.out = (nn.Conv2d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        y = self.norm(x)
        q, k, v = (f(y).flatten(2).transpose(1, 2)[:, None] for f in (self.q, self.k, self.v))
        y = F.scaled_dot_product_attention(q, k, v)[:, 0].transpose(1, 2).reshape(x.shape)
        return x + self.out(y)


class Upsample(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)

    def forward(self, x):
        return self.conv(F.interpolate(x, scale_factor=2, mode="nearest"))


class Decoder(nn.Sequential):
    """Latents [B, C, h, w] to pictures [B, 3, H, W]."""

    def __init__(self, latent, channels, resnets, groups):
        wide = channels[-1]
        layers = [nn.Conv2d(latent, wide, 3, padding=1), Resnet(wide, wide, groups),
                  PixelAttention(wide, groups), Resnet(wide, wide, groups)]
        into = wide
        for level in reversed(range(len(channels))):
            for _ in range(resnets + 1):
                layers.append(Resnet(into, channels[level], groups))
                into = channels[level]
            if level > 0:
                layers.append(Upsample(into))
        layers += [nn.GroupNorm(groups, into, 1e-6), nn.SiLU(), nn.Conv2d(into, 3, 3, padding=1)]
        super().__init__(*layers)


class Block(nn.Module):
    def __init__(self, width, heads, mlp):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, mlp), nn.Linear(mlp, width)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2)
                   for t in self.qkv(self.norm1(x)).chunk(3, -1))
        x = x + self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(-2))
        return x + self.down(F.gelu(self.up(self.norm2(x))))


class Reward(nn.Module):
    """Pictures [B, 3, H, W] to the semantic-relative reward of their features."""

    def __init__(self, size, width, layers, heads, mlp, patch, embedding):
        super().__init__()
        self.size = size
        self.patches = nn.Conv2d(3, width, patch, patch, bias=False)
        self.first = nn.Parameter(torch.zeros(1, 1, width))
        self.places = nn.Parameter(torch.zeros(1, (size // patch) ** 2 + 1, width))
        self.before, self.after = nn.LayerNorm(width), nn.LayerNorm(width)
        self.blocks = nn.Sequential(*(Block(width, heads, mlp) for _ in range(layers)))
        self.projection = nn.Linear(width, embedding, bias=False)
        self.text = nn.Parameter(torch.ones(2, embedding) / embedding**0.5)

    def forward(self, x):
        y = F.interpolate(x.float(), size=[self.size] * 2, mode="bicubic", antialias=True).to(x.dtype)
        tokens = self.patches((y - 0.45) / 0.27).flatten(2).transpose(1, 2)
        tokens = torch.cat([self.first.expand(len(x), -1, -1), tokens], 1) + self.places
        pooled = self.after(self.blocks(self.before(tokens))[:, 0])
        features = F.normalize(self.projection(pooled), dim=-1)
        wanted, unwanted = self.text
        return (features * (1.1 * wanted - unwanted)).sum(-1)
