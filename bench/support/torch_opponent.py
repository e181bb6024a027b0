"""PyTorch on the CPU, or on the device that the first argument names, timed on request. Reads one JSON object a line and answers with one:
{"hello": true} with its version, {"setUp": {"op": ...}} after making inputs, {"calls": n} with the
seconds of one call. Each op composes what a PyTorch user would write."""

import json
import sys
import time

import torch
import torch.nn.functional as F

device = sys.argv[1] if len(sys.argv) > 1 else "cpu"

def tensor(shape, dtype, grad=False):
    t = torch.randn(shape, dtype=torch.float32, device=device) * 0.1
    return t.to(getattr(torch, dtype)).requires_grad_(grad)


def with_backward(forward, inputs, backward):
    """One call: forward alone without a tape, or forward and the gradients of all inputs."""
    if not backward:
        def run():
            with torch.no_grad():
                forward(*inputs)
        return run
    cotangent = torch.randn_like(forward(*inputs))

    def run():
        torch.autograd.grad(forward(*inputs), inputs, cotangent)
    return run


def linear(m):
    grad = m.get("backward", False)
    x, w, b = (tensor(s, m["dtype"], grad) for s in ([m["M"], m["K"]], [m["N"], m["K"]], [m["N"]]))
    act = {"none": lambda y: y, "gelu-tanh": lambda y: F.gelu(y, approximate="tanh")}
    return with_backward(
        lambda x, w, b: act[m.get("act", "none")](F.linear(x, w, b)), [x, w, b], grad)


def attention(m):
    grad = m.get("backward", False)
    B, N, L, Dh = m["q"]
    q, k, v = (tensor(m["q"], m["dtype"], grad) for _ in range(3))
    return with_backward(
        lambda q, k, v: F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(B, L, N * Dh),
        [q, k, v], grad)


def conv2d(m):
    grad = m.get("backward", False)
    B, H, W, C = m["x"]
    form = torch.channels_last if m.get("channelsLast", True) else torch.contiguous_format
    x = tensor([B, C, H, W], m["dtype"]).to(memory_format=form).requires_grad_(grad)
    w = tensor([m["out"], C, m["kernel"], m["kernel"]], m["dtype"]).to(memory_format=form)
    w.requires_grad_(grad)
    b = tensor([m["out"]], m["dtype"], grad)
    pad = m["kernel"] // 2

    def forward(x, w, b):
        if m.get("upsample", False):
            x = F.interpolate(x, scale_factor=2, mode="nearest")
        return F.conv2d(x, w, b, padding=pad)
    return with_backward(forward, [x, w, b], grad)


def group_norm(m):
    grad = m.get("backward", False)
    B, H, W, C = m["x"]
    x = tensor([B, C, H, W], m["dtype"]).to(memory_format=torch.channels_last).requires_grad_(grad)
    w, b = tensor([C], m["dtype"], grad), tensor([C], m["dtype"], grad)
    return with_backward(
        lambda x, w, b: F.silu(F.group_norm(x, m["groups"], w, b, 1e-6)), [x, w, b], grad)


def resize(m):
    grad = m.get("backward", False)
    B, H, W, C = m["x"]
    x = tensor([B, C, H, W], m["dtype"], grad)
    size = [m["size"], m["size"]]

    def forward(x):  # as torchvision: bfloat16 is resized in float32
        y = F.interpolate(x.float(), size=size, mode="bicubic", antialias=True)
        return (y.to(x.dtype) - 0.45) / 0.27
    return with_backward(forward, [x], grad)


def layer_norm(m):
    grad = m.get("backward", False)
    B, L, D = m["x"]
    x, scale, shift = (tensor(s, m["dtype"], grad) for s in ([B, L, D], [B, 1, D], [B, 1, D]))
    return with_backward(
        lambda x, a, b: F.layer_norm(x, [D], eps=1e-6) * (1 + a) + b, [x, scale, shift], grad)


def adamw(m):
    w = tensor([m["n"]], "float32", True)
    w.grad = tensor([m["n"]], "float32")
    optimizer = torch.optim.AdamW([w], lr=1e-5, fused=True)
    return optimizer.step


def flux(m):
    """FLUX from its description (BFL's block structure), float32 or bfloat16, forward and backward."""
    from torch_flux import Flux

    model = Flux(m["hidden"], m["heads"], m["double"], m["single"], m["context"], m["vector"])
    model = model.to(getattr(torch, m["dtype"]))
    inputs = model.example(m["img"], m["txt"], getattr(torch, m["dtype"]))
    parameters = list(model.parameters())
    cotangent = torch.randn_like(model(*inputs))

    def run():
        if m.get("backward", True):
            torch.autograd.grad(model(*inputs), parameters, cotangent)
        else:
            with torch.no_grad():
                model(*inputs)
    return run


ops = {f.__name__: f for f in (linear, attention, conv2d, group_norm, resize, layer_norm, adamw, flux)}
sys.path.insert(0, __file__.rsplit("/", 1)[0])
run = None


def wait():
    if device != "cpu":
        torch.cuda.synchronize()


def answer(message):
    global run
    if "hello" in message:
        if device != "cpu":
            return f"torch {torch.__version__}, {torch.cuda.get_device_name()}"
        return f"torch {torch.__version__}, {torch.get_num_threads()} threads"
    if "setUp" in message:
        run = ops[message["setUp"]["op"]](message["setUp"])
        return True
    wait()
    begin = time.perf_counter()
    for _ in range(message["calls"]):
        run()
    wait()
    return (time.perf_counter() - begin) / message["calls"]


for line in sys.stdin:
    try:
        print(json.dumps({"value": answer(json.loads(line))}), flush=True)
    except Exception as error:  # told to the bench, which stops
        print(json.dumps({"error": f"{type(error).__name__}: {error}"}), flush=True)
