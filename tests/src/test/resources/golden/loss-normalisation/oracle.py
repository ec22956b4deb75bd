"""Computes cases.json: what --calculate_per_token_loss makes of uneven micro-batches.

Run in this folder by a Python that has torch and transformers: python oracle.py

The model is that of ../qwen3, in float64. Megatron-Core's schedules.py defines both ways. With the
flag, the gradient is the sum over the global batch divided by its number of targets. Without, each
micro-batch's sum is divided by its own number of targets (at least 1) and by the number of
micro-batches. Weights of the loss count in the sum, never in the number. The reported loss is the
sum over everything divided by the number of targets in both.
"""

import json
import pathlib

import torch
import transformers

HERE = pathlib.Path(__file__).parent
QWEN3 = HERE.parent / "qwen3"
RATE = 1e-3

# Targets of the micro-batches of a step that training meets rarely: none, one, many, and many with
# weights, one of them for two sequences.
TOKENS = [
    [[11, 340, 7, 3]],
    [[5, 9]],
    [[(7 * i * i + 3 * i) % 370 for i in range(60)]],
    [[(5 * i + 1) % 300 for i in range(9)], [(11 * i + 4) % 350 for i in range(17)]],
]
WEIGHTS = [
    [[0, 0, 0, 0]],
    [[0, 1]],
    [[0] * 20 + [1] * 40],
    [[0, 0, 0, 2, 2, 0.5, 1, 1, 1], [0] * 8 + [2] * 4 + [1] * 5],
]


def model():
    loaded = transformers.AutoModelForCausalLM.from_pretrained(
        QWEN3 / "model", dtype=torch.float64, attn_implementation="eager"
    )
    return loaded.train()


def loss_sum(network, sequences, weights):
    """The weighted sum of losses of a micro-batch, and its number of targets."""
    total, targets = 0, 0
    for ids, weight in zip(sequences, weights):
        logits = network(torch.tensor([ids])).logits[0, :-1]
        losses = torch.nn.functional.cross_entropy(
            logits, torch.tensor(ids[1:]), reduction="none"
        )
        scale = torch.tensor(weight[1:], dtype=torch.float64)
        total = total + (losses * scale).sum()
        targets += int((scale != 0).sum())
    return total, targets


def optimizer(network):
    decayed = [p for n, p in network.named_parameters() if p.ndim > 1 and not n.endswith("bias")]
    plain = [p for n, p in network.named_parameters() if p.ndim == 1 or n.endswith("bias")]
    groups = [{"params": decayed, "weight_decay": 0.1}, {"params": plain, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=RATE, betas=(0.9, 0.95), eps=1e-8)


def step(network, adam, batches, per_token):
    adam.zero_grad()
    losses, targets = 0.0, 0
    for sequences, weights in batches:
        total, count = loss_sum(network, sequences, weights)
        losses += float(total.detach())
        targets += count
        (total if per_token else total / max(count, 1) / len(batches)).backward()
    gradients = [p.grad for p in network.parameters()]
    if per_token:
        for gradient in gradients:
            gradient /= max(targets, 1)
    norm = float(torch.sqrt(sum((g * g).sum() for g in gradients)))
    clip = 1 / (norm + 1e-6)
    if clip < 1:
        for gradient in gradients:
            gradient *= clip
    adam.step()
    return losses, targets, norm


def uneven(per_token):
    """Three steps over the same four micro-batches."""
    network = model()
    adam = optimizer(network)
    steps = [step(network, adam, list(zip(TOKENS, WEIGHTS)), per_token) for _ in range(3)]
    return [{"loss": s / n, "targets": n, "grad_norm": g} for s, n, g in steps]


def command(per_token):
    """The rows of ../qwen3/train.jsonl, one to a micro-batch and four to a step, logged every second step."""
    rows = [
        ([t["ids"]], [t["default"]]) for t in json.loads((QWEN3 / "golden.json").read_text())["tokens"]
    ]
    network = model()
    adam = optimizer(network)
    log, evaluations, window = [], [], [0.0, 0]
    for iteration in range(1, 5):
        batch = rows[4 * iteration - 4 : 4 * iteration]
        losses, targets, norm = step(network, adam, batch, per_token)
        window[0] += losses
        window[1] += targets
        if iteration == 1 or iteration % 2 == 0:
            log.append({"iteration": iteration, "loss": window[0] / window[1], "grad_norm": norm})
            window = [0.0, 0]
        if iteration % 2 == 0:
            with torch.no_grad():
                sums = [loss_sum(network, *row) for row in rows]
            loss = float(sum(s for s, _ in sums)) / sum(n for _, n in sums)
            evaluations.append({"iteration": iteration, "eval_loss": loss})
    return {"log": log, "evaluations": evaluations}


def both(compute):
    return {"true": compute(True), "false": compute(False)}


cases = {
    "tokens": TOKENS,
    "weights": WEIGHTS,
    "steps": both(uneven),
    "command": both(command),
}
(HERE / "cases.json").write_text(json.dumps(cases, indent=1) + "\n")
