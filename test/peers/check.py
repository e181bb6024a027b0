"""Opens what srpo-native wrote with the libraries that it is written for, and computes the same numbers.

    check.py NUMBERS FULL LORA BASE REWARD

NUMBERS: safetensors file with inputs and srpo-native's outputs. FULL: a training checkpoint. LORA: one of a
LoRA. BASE: the model that both began with. REWARD: an open_clip folder. Prints a JSON object: what was held
against what, and the relative L2 error, or what could not be tried.
"""

import json
import pathlib
import sys

import torch
from safetensors import safe_open
from safetensors.torch import load_file

from flux_diffusers import Flux

# A torchvision that was built for another torch lacks its operators; declared they do for an import, and
# none is called here.
operators = torch.library.Library("torchvision", "FRAGMENT")
for op in ("nms", "qnms"):
    if not hasattr(torch.ops.torchvision, op):
        operators.define(f"{op}(Tensor boxes, Tensor scores, float threshold) -> Tensor")

numbers, full, lora, base, reward = map(pathlib.Path, sys.argv[1:6])
given = load_file(numbers)
errors, failures = {}, {}


def off(ours, theirs):
    a, b = ours.double(), theirs.double()
    return ((a - b).norm() / b.norm()).item()


def tried(check):
    try:
        check()
    except ImportError as error:
        failures[check.__name__] = f"not installed: {error}"
    return check


def transformer(folder):
    model = Flux(json.loads((folder / "config.json").read_text()))
    model.load_state_dict(load_file(folder / "diffusion_pytorch_model.safetensors"), strict=True)
    return model.float().eval()


def velocity(model):
    names = ("img", "txt", "pooled", "timestep", "guidance", "ids")
    with torch.no_grad():
        return model(*(given[name] for name in names))


@tried
def safetensors_files():
    for file in [*full.rglob("*.safetensors"), *lora.rglob("*.safetensors")]:
        with safe_open(file, "pt") as opened:
            for name in opened.keys():
                opened.get_tensor(name)
    errors["safetensors opens every file"] = 0.0


@tried
def diffusers_names():
    errors["transformer, strict, diffusers' names"] = off(
        given["velocity.full"], velocity(transformer(full / "transformer"))
    )


@tried
def peft_lora():
    from peft import LoraConfig, inject_adapter_in_model
    from peft.utils import set_peft_model_state_dict

    file = lora / "pytorch_lora_weights.safetensors"
    state = {name.removeprefix("transformer."): t for name, t in load_file(file).items()}
    down = {n.removesuffix(".lora_A.weight"): t for n, t in state.items() if ".lora_A." in n}
    rank = next(iter(down.values())).shape[0]
    assert all(t.shape[0] == rank for t in down.values())
    model = transformer(base / "transformer")
    # Without an alpha in the file diffusers takes the rank for it: a scale of 1.
    names = sorted(down)
    config = LoraConfig(r=rank, lora_alpha=rank, target_modules=names)
    model = inject_adapter_in_model(config, model)
    left = set_peft_model_state_dict(model, state)
    missing = [name for name in left.missing_keys if "lora" in name]
    assert not left.unexpected_keys and not missing, (left.unexpected_keys, missing)
    model = model.float().eval()
    errors["peft's adapter on the base"] = off(given["velocity.lora"], velocity(model))
    errors["(the adapter's own size)"] = off(velocity(transformer(base / "transformer")), given["velocity.lora"])


prompts = bytes(given["prompts"].tolist()).decode().split("\n")


@tried
def transformers_encoders():
    from transformers import AutoTokenizer, CLIPTextModel, CLIPTokenizer, T5EncoderModel

    clip = CLIPTokenizer.from_pretrained(full / "tokenizer")
    ids = clip(prompts, padding="max_length", truncation=True, max_length=int(given["clip_length"]), return_tensors="pt").input_ids
    tower = CLIPTextModel.from_pretrained(full / "text_encoder").float().eval()
    t5 = AutoTokenizer.from_pretrained(full / "tokenizer_2")
    wide = given["encoded.txt"].shape[1]
    long = t5(prompts, padding="max_length", truncation=True, max_length=wide, return_tensors="pt").input_ids
    encoder = T5EncoderModel.from_pretrained(full / "text_encoder_2").float().eval()
    with torch.no_grad():
        errors["transformers' CLIPTextModel and tokenizer"] = off(
            given["encoded.pooled"], tower(ids).pooler_output
        )
        errors["transformers' T5EncoderModel and tokenizer"] = off(
            given["encoded.txt"], encoder(long).last_hidden_state
        )


@tried
def open_clip_reward():
    import open_clip

    model = open_clip.create_model(f"local-dir:{reward}").float().eval()
    with torch.no_grad():
        text = model.encode_text(given["reward.ids"].long(), normalize=True)
        image = model.encode_image(given["reward.pixels"].permute(0, 3, 1, 2), normalize=True)
    errors["open_clip's text features"] = off(given["reward.text"], text)
    errors["open_clip's score"] = off(given["reward.score"], (image * text).sum(-1))


print(json.dumps({"errors": errors, "failures": failures}))
