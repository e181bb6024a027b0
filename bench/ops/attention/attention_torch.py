"""PyTorch's attention, timed on request. Reads one JSON object a line: a case to set up
({"q": [B, N, Lq, Dh], "k": [B, N, Lk, Dh], "dtype", "backward"}), or {"calls": n}, which is answered
with the seconds of one call."""

import json
import sys
import time

import torch
import torch.nn.functional as F

run = None
for line in sys.stdin:
    message = json.loads(line)
    if "calls" in message:
        begin = time.perf_counter()
        for _ in range(message["calls"]):
            run()
        print((time.perf_counter() - begin) / message["calls"], flush=True)
        continue
    dtype = getattr(torch, message["dtype"])
    grad = message["backward"]
    q = torch.randn(message["q"], dtype=dtype, requires_grad=grad)
    k = torch.randn(message["k"], dtype=dtype, requires_grad=grad)
    v = torch.randn(message["k"], dtype=dtype, requires_grad=grad)
    # The gradient comes as the projection behind attention gives it: tokens before heads.
    B, N, L, Dh = message["q"]
    dout = torch.randn([B, L, N, Dh], dtype=dtype).transpose(1, 2)

    def run():
        with torch.set_grad_enabled(grad):
            out = F.scaled_dot_product_attention(q, k, v)
        if grad:
            torch.autograd.grad(out, [q, k, v], dout)

    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads", flush=True)
