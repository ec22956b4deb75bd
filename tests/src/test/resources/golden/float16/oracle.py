"""Float16 training with a dynamic loss scale, computed by PyTorch: writes golden.json beside this file.

    python oracle.py

The model is ../qwen3. Tensors between operations, and their gradients, are rounded to float16 (Half below);
within an operation numbers are float32, as are parameter gradients, main parameters and moments. So the
numbers depend on float16 storage and on nothing that a library may do otherwise. As a check of the model
itself, the first loss is compared with that of transformers' own model in float16.

The order of a step and the scaler are those of Megatron-Core: megatron/core/optimizer/optimizer.py and
grad_scaler.py. Batches, rates and decay are those of ../qwen3/golden.json, but the schedule stands still
where a step is skipped.
"""

import json
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

HERE = Path(__file__).parent
FOLDER = HERE.parent / "qwen3"
STEPS = 14
SETTINGS = {"initial_loss_scale": 2.0**14, "min_loss_scale": 1.0, "loss_scale_window": 3, "hysteresis": 2}


class Half(torch.autograd.Function):
    """Stores a tensor in float16, and its gradient too."""

    largest = 0.0

    @staticmethod
    def forward(ctx, x):
        return x.half().float()

    @staticmethod
    def backward(ctx, gradient):
        Half.largest = max(Half.largest, gradient.abs().nan_to_num(nan=0).max().item())
        return gradient.half().float()


half = Half.apply


class Attention(torch.autograd.Function):
    """Causal attention; its gradient takes the sum over a row from the stored output, as FlashAttention does."""

    @staticmethod
    def forward(ctx, q, k, v, scale):
        scores = torch.einsum("ihd,jhd->hij", q, k) * scale
        p = scores.masked_fill(torch.ones(len(q), len(q)).triu(1).bool(), -math.inf).softmax(-1)
        out = torch.einsum("hij,jhd->ihd", p, v)
        ctx.save_for_backward(q, k, v, p, out.half().float())
        ctx.scale = scale
        return out

    @staticmethod
    def backward(ctx, gradient):
        q, k, v, p, out = ctx.saved_tensors
        dp = torch.einsum("ihd,jhd->hij", gradient, v)
        delta = (gradient * out).sum(-1).T[:, :, None]
        ds = p * (dp - delta) * ctx.scale
        return (
            torch.einsum("hij,jhd->ihd", ds, k),
            torch.einsum("hij,ihd->jhd", ds, q),
            torch.einsum("hij,ihd->jhd", p, gradient),
            None,
        )


class Model:
    def __init__(self, config, main):
        self.c = config
        self.main = main
        self.names = list(main)

    def publish(self):
        """The model's float16 values, as leaves whose gradients are float32."""
        self.w = {k: v.half().float().requires_grad_() for k, v in self.main.items()}

    def norm(self, x, weight):
        return half(x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["rms_norm_eps"]) * weight)

    def heads(self, qkv, name, count, layer, position):
        d = self.c["head_dim"]
        x = qkv.view(-1, count, d)
        weight = self.w[f"model.layers.{layer}.self_attn.{name}_norm.weight"]
        x = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.c["rms_norm_eps"]) * weight
        frequency = self.c["rope_theta"] ** (-torch.arange(0, d, 2, dtype=torch.float64) / d)
        angle = (position.double()[:, None] * frequency).float()[:, None, :]
        a, b = x[..., : d // 2], x[..., d // 2 :]
        return half(torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1))

    def attention(self, x, layer):
        c, p = self.c, f"model.layers.{layer}.self_attn."
        n, kv, d = c["num_attention_heads"], c["num_key_value_heads"], c["head_dim"]
        tokens = x.shape[0]
        position = torch.arange(tokens)
        # One projection, so that its input has one gradient in float16.
        fused = torch.cat([self.w[p + k + "_proj.weight"] for k in "qkv"])
        q, k, v = half(x @ fused.T).split([n * d, kv * d, kv * d], -1)
        q = self.heads(q, "q", n, layer, position)
        k = self.heads(k, "k", kv, layer, position)
        v = half(v.reshape(tokens, kv, d))
        k = k.repeat_interleave(n // kv, 1)
        v = v.repeat_interleave(n // kv, 1)
        out = half(Attention.apply(q, k, v, 1 / math.sqrt(d))).reshape(tokens, n * d)
        return half(out @ self.w[p + "o_proj.weight"].T)

    def mlp(self, x, layer):
        p = f"model.layers.{layer}.mlp."
        fused = torch.cat([self.w[p + "gate_proj.weight"], self.w[p + "up_proj.weight"]])
        gate, up = half(half(x) @ fused.T).chunk(2, -1)
        return half(half(F.silu(gate) * up) @ self.w[p + "down_proj.weight"].T)

    def loss_sum(self, ids, mask):
        """The sum of the targets' losses."""
        c = self.c
        x = half(F.embedding(ids, self.w["model.embed_tokens.weight"]))
        for layer in range(c["num_hidden_layers"]):
            p = f"model.layers.{layer}."
            x = half(x + self.attention(self.norm(x, self.w[p + "input_layernorm.weight"]), layer))
            x = half(x + self.mlp(self.norm(x, self.w[p + "post_attention_layernorm.weight"]), layer))
        x = self.norm(x, self.w["model.norm.weight"])
        logits = x @ self.w["lm_head.weight"].T
        losses = F.cross_entropy(logits[:-1], ids[1:], reduction="none")
        return (losses * mask[1:]).sum()


class Scaler:
    def __init__(self):
        self.scale = SETTINGS["initial_loss_scale"]
        self.growth = 0
        self.hysteresis = SETTINGS["hysteresis"]

    def update(self, overflow):
        if overflow:
            self.growth = 0
            self.hysteresis -= 1
            if self.hysteresis <= 0:
                self.scale = max(self.scale * 0.5, SETTINGS["min_loss_scale"])
        else:
            self.growth += 1
            if self.growth == SETTINGS["loss_scale_window"]:
                self.growth = 0
                self.hysteresis = SETTINGS["hysteresis"]
                self.scale *= 2


def rate_at(samples):
    if samples <= 8:
        return 1e-3 * samples / 8
    return 1e-4 + 9e-4 * (1 + math.cos(math.pi * (samples - 8) / 24)) / 2 if samples <= 32 else 1e-4


def main():
    config = json.loads((FOLDER / "model/config.json").read_text())
    golden = json.loads((FOLDER / "golden.json").read_text())
    rows = [
        (torch.tensor(row["ids"]), torch.tensor(row["default"], dtype=torch.float32)) for row in golden["tokens"]
    ]
    no_decay = set(golden["train_full"]["no_weight_decay"])
    # Main parameters start from the model's float16 values, as Megatron's do.
    weights = {k: v.half().float() for k, v in load_file(FOLDER / "model/model.safetensors").items()}
    model = Model(config, weights)
    moments = {k: (torch.zeros_like(v), torch.zeros_like(v)) for k, v in model.main.items()}
    scaler, updates, scheduled, log = Scaler(), 0, 0, []
    for step in range(STEPS):
        model.publish()
        Half.largest = 0.0
        loss, targets = 0.0, 0
        for i in range(4):
            ids, mask = rows[(4 * step + i) % len(rows)]
            loss_sum = model.loss_sum(ids, mask)
            (loss_sum * scaler.scale).backward()
            loss += loss_sum.item()
            targets += int(mask[1:].sum())
        gradients = {k: model.w[k].grad for k in model.names}
        overflow = not all(torch.isfinite(g).all() for g in gradients.values())
        used = scaler.scale
        scaler.update(overflow)
        row = {
            "loss": loss / targets,
            "loss_scale_used": used,
            "loss_scale": scaler.scale,
            "skipped": overflow,
            # How far the largest scaled gradient is from what float16 holds: far enough to be sure.
            "largest_scaled_gradient": Half.largest,
            "lr_used": rate_at(scheduled),
        }
        if not overflow:
            unscale = 1 / (used * targets)
            norm = math.sqrt(sum(g.double().pow(2).sum().item() for g in gradients.values())) * unscale
            clip = min(1.0, 1.0 / (norm + 1e-6))
            updates += 1
            for k, p in model.main.items():
                g, (m, v) = gradients[k] * (unscale * clip), moments[k]
                p.mul_(1 - row["lr_used"] * (0 if k in no_decay else 0.1))
                m.lerp_(g, 0.1)
                v.mul_(0.95).addcmul_(g, g, value=0.05)
                denominator = (v / (1 - 0.95**updates)).sqrt() + 1e-8
                p.sub_(row["lr_used"] / (1 - 0.9**updates) * m / denominator)
            row["grad_norm"] = norm
            scheduled += 4
        log.append(row)
    final = {k: [v.double().sum().item(), v.double().norm().item()] for k, v in model.main.items()}

    theirs = AutoModelForCausalLM.from_pretrained(FOLDER / "model", dtype=torch.float16, attn_implementation="eager")
    loss, targets = 0.0, 0
    with torch.no_grad():
        for ids, mask in rows[:4]:
            losses = F.cross_entropy(theirs(ids[None]).logits[0, :-1].float(), ids[1:], reduction="none")
            loss += (losses * mask[1:]).sum().item()
            targets += int(mask[1:].sum())
    assert abs(loss / targets - log[0]["loss"]) < 1e-3 * log[0]["loss"], (loss / targets, log[0]["loss"])
    result = {"settings": SETTINGS, "iterations": log, "final_main_parameters": final}
    (HERE / "golden.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
