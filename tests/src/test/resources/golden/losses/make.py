"""Writes golden.json: token ids, loss weights, losses and gradients of rows.jsonl with the qwen3 fixture's model.

python make.py   (PyTorch 2.13, transformers 5.18; float64 weights, eager attention)

The weights follow the definitions of Megatron-SWIFT's loss_scale; the losses are
  e = cross_entropy, or with dft  e = cross_entropy * exp(-cross_entropy), the second factor held constant;
  loss = sum(e * weight) / number of targets, over all rows; the same over the rows of a channel.
"""
import json
import pathlib
import re

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

here = pathlib.Path(__file__).parent
model_folder = here.parent / "qwen3" / "model"
tokenizer = AutoTokenizer.from_pretrained(model_folder)
rows = [json.loads(line) for line in (here / "rows.jsonl").read_text().splitlines()]

REACT = {"Action:": (2, 2), "Action Input:": (2, 2), "Thought:": (1, 1), "Final Answer:": (1, 1), "Observation:": (2, 0)}


def by_keys(text, keys):
    parts = re.split("(" + "|".join(map(re.escape, keys)) + ")", text)
    result = [(parts[0], 1.0)]
    for key, following in zip(parts[1::2], parts[2::2]):
        result += [(key, keys[key][0]), (following, keys[key][1])]
    return result


def by_pattern(text, pattern, weight):
    parts = re.split("(" + pattern + ")", text, flags=re.DOTALL)
    return [(part, weight if i % 2 else 1.0) for i, part in enumerate(parts)]


WEIGHTINGS = {
    "react": lambda text: by_keys(text, REACT),
    "hermes": lambda text: by_pattern(text, "<tool_call>.+?</tool_call>", 2.0),
    "ignore_empty_think": lambda text: by_pattern(text, r"^<think>\s*</think>\s*", 0.0),
}


def weighed(text, names):
    parts = [(text, 1.0)]
    for name in names:
        parts = [(t, w * v) for p, w in parts for t, v in WEIGHTINGS[name](p)]
    return [(t, w) for t, w in parts if t]


def pieces(row, base, names):
    """(text, weight) of each part of the rendering."""
    messages = row["messages"]
    last_user = max(i for i, m in enumerate(messages) if m["role"] == "user")
    for i, message in enumerate(messages):
        head = "<|im_start|>" + message["role"] + "\n"
        context = lambda text: weighed(text, names) if base == "all" else [(text, 0.0)]
        if message["role"] != "assistant":
            yield from context(head + message["content"] + "<|im_end|>\n")
            continue
        yield from context(head)
        trained = base == "all" or base == "default" or i > last_user
        if not message.get("loss", trained):
            yield message["content"], 0.0
        elif "loss_scale" in message:
            yield message["content"], message["loss_scale"]
        else:
            yield from weighed(message["content"], names)
        yield from weighed("<|im_end|>\n", names) if trained else [("<|im_end|>\n", 0.0)]


def encode(row, scale):
    base, *names = scale.split("+")
    joined = []
    for text, weight in pieces(row, base, names):
        if joined and joined[-1][1] == weight:
            joined[-1] = (joined[-1][0] + text, weight)
        else:
            joined.append((text, weight))
    ids, weights = [], []
    for text, weight in joined:
        tokens = tokenizer.encode(text, add_special_tokens=False)
        ids += tokens
        weights += [weight] * len(tokens)
    return ids, weights


def run(scale, dft):
    model = AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float64, attn_implementation="eager")
    total, targets, channels = 0.0, 0, {}
    for row in rows:
        ids, weights = encode(row, scale)
        logits = model(torch.tensor([ids])).logits[0, :-1]
        labels = torch.tensor(ids[1:])
        weight = torch.tensor(weights[1:], dtype=torch.float64)
        losses = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        if dft:
            losses = losses * torch.exp(-losses.detach())
        losses = (losses * weight)[weight != 0]
        total = total + losses.sum()
        targets += len(losses)
        entry = channels.setdefault(str(row.get("channel")), [0.0, 0])
        entry[0] += losses.sum().item()
        entry[1] += len(losses)
    (total / targets).backward()
    norms = {name: p.grad.norm().item() for name, p in model.named_parameters()}
    return {
        "loss_scale": scale,
        "dft": dft,
        "loss": (total / targets).item(),
        "loss_tokens": targets,
        "grad_norm": sum(n * n for n in norms.values()) ** 0.5,
        "grad_norms": norms,
        "channels": {name: {"loss": s / n, "tokens": n} for name, (s, n) in channels.items()},
        "rows": [dict(zip(("ids", "weights"), encode(row, scale))) for row in rows],
    }


scales = ["default", "last_round+react", "all+hermes", "default+react+hermes+ignore_empty_think"]
cases = [run(scale, dft) for scale in scales for dft in (False, True)]
(here / "golden.json").write_text(json.dumps({"cases": cases}) + "\n")
