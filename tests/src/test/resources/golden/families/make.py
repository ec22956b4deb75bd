"""Makes the fixtures of the model families with PyTorch and transformers 5.18.

python make.py: writes cases.json and the weights beside this file, and adds the families to
families.json and transformers-defaults.json of runtime's tests.
"""

import json
import pathlib

import torch
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

HERE = pathlib.Path(__file__).parent
MODEL = HERE.parents[5] / "runtime/src/test/resources/model"
SMALL = dict(vocab_size=40, bos_token_id=None, eos_token_id=None, pad_token_id=None, initializer_range=0.3)
COMMON = dict(hidden_size=32, intermediate_size=44, num_hidden_layers=2, num_attention_heads=4,
              num_key_value_heads=2, max_position_embeddings=64)
GPT2 = dict(n_embd=32, n_layer=2, n_head=4, n_positions=64, resid_pdrop=0.0, embd_pdrop=0.0, attn_pdrop=0.0)
PLAIN = {"rope_type": "default", "rope_theta": 10000.0}
CASES = {
    "glm, half of a head of 12": ("glm", COMMON | dict(
        head_dim=12, attention_bias=True, rope_parameters=PLAIN | {"partial_rotary_factor": 0.5})),
    "glm, whole heads, yarn": ("glm", COMMON | dict(
        head_dim=16, attention_bias=False, rope_parameters={
            "rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 16,
            "rope_theta": 10000.0, "partial_rotary_factor": 1.0})),
    "ernie4_5 with biases": ("ernie4_5", COMMON | dict(
        head_dim=10, use_bias=True, rope_parameters=PLAIN | {"rope_theta": 500000.0})),
    "phi3, three quarters of a head": ("phi3", COMMON | dict(
        rope_parameters=PLAIN | {"partial_rotary_factor": 0.75})),
    "phi3, longrope and a window of 6": ("phi3", COMMON | dict(
        sliding_window=6, original_max_position_embeddings=4, rope_parameters={
            "rope_type": "longrope", "rope_theta": 10000.0, "partial_rotary_factor": 1.0,
            "short_factor": [1.0, 1.1, 1.2, 1.3], "long_factor": [1.0, 2.0, 3.0, 4.0]})),
    "starcoder2": ("starcoder2", COMMON | dict(rope_parameters=PLAIN)),
    "starcoder2, exact gelu, no biases, a window of 5": ("starcoder2", COMMON | dict(
        use_bias=False, hidden_act="gelu", sliding_window=5, rope_parameters=PLAIN)),
    "gpt2, exact gelu": ("gpt2", GPT2 | dict(activation_function="gelu", n_inner=44)),
    "gpt2, squared relu, untied": ("gpt2", GPT2 | dict(
        activation_function="relu2", tie_word_embeddings=False)),
    "gpt2, quick gelu": ("gpt2", GPT2 | dict(activation_function="quick_gelu")),
}


def model_of(config, dtype):
    torch.manual_seed(3)
    model = AutoModelForCausalLM.from_config(config, attn_implementation="eager", dtype=torch.float32)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                centre = 0.0 if name.endswith("bias") else 1.0
                parameter.copy_(centre + 0.2 * torch.randn_like(parameter))
    return model.to(dtype)


def case(name, weights, kind, sizes):
    config = AutoConfig.for_model(kind, **(SMALL | sizes))
    config.architectures = [model_of(config, torch.float32).__class__.__name__]
    model = model_of(config, torch.float64)
    shared = {"lm_head.weight"} if config.tie_word_embeddings else set()
    save_file({n: t.float().contiguous() for n, t in model.state_dict().items() if n not in shared},
              HERE / f"{weights}.safetensors", metadata={"format": "pt"})
    torch.manual_seed(5)
    sequences = [torch.randint(0, 40, (n,)).tolist() for n in (9, 1, 21)]
    prompt = torch.randint(0, 40, (7,)).tolist()
    model.eval()
    with torch.no_grad():
        logits = [model(torch.tensor([s])).logits[0] for s in sequences]
        ids = list(prompt)
        cache = None
        step = torch.tensor([prompt])
        for _ in range(12):
            out = model(step, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            ids.append(int(out.logits[0, -1].argmax()))
            step = torch.tensor([[ids[-1]]])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, betas=(0.9, 0.95), eps=1e-8, weight_decay=0)
    losses, norms = [], []
    for _ in range(3):
        optimizer.zero_grad()
        total = sum(torch.nn.functional.cross_entropy(
            model(torch.tensor([s])).logits[0, :-1], torch.tensor(s[1:]), reduction="sum")
            for s in sequences if len(s) > 1)
        loss = total / sum(len(s) - 1 for s in sequences)
        loss.backward()
        norms.append(float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)))
        losses.append(float(loss.detach()))
        optimizer.step()
    kept = {k: v for k, v in config.to_diff_dict().items() if k != "transformers_version"}
    kept |= {"architectures": config.architectures}
    return {"name": name, "weights": weights, "config": kept, "sequences": sequences,
            "logits": [[[round(v, 8) for v in row] for row in s.tolist()] for s in logits],
            "losses": losses, "grad_norms": norms, "prompt": prompt, "greedy": ids[len(prompt):]}


def shapes(name, kind, sizes):
    config = AutoConfig.for_model(kind, **(SMALL | sizes))
    model = model_of(config, torch.float32)
    state = {n: list(t.shape) for n, t in model.state_dict().items()}
    if config.tie_word_embeddings:
        del state["lm_head.weight"]
    kept = {k: v for k, v in config.to_diff_dict().items() if k not in ("transformers_version", "dtype")}
    return {"name": name, "config": kept, "parameters": sum(p.numel() for p in model.parameters()),
            "shapes": state}


def defaults(kind):
    config = AutoConfig.for_model(kind)
    small = AutoConfig.for_model(kind)
    small.num_hidden_layers = 1
    with torch.device("meta"):
        names = set(AutoModelForCausalLM.from_config(small).state_dict())
    get = lambda *keys: next((getattr(config, k) for k in keys if getattr(config, k, None) is not None), None)
    return {
        "vocab_size": config.vocab_size, "hidden_size": config.hidden_size,
        "intermediate_size": get("intermediate_size", "n_inner") or 4 * config.hidden_size,
        "num_hidden_layers": config.num_hidden_layers, "num_attention_heads": config.num_attention_heads,
        "num_key_value_heads": get("num_key_value_heads") or config.num_attention_heads,
        "head_dim": get("head_dim") or config.hidden_size // config.num_attention_heads,
        "max_position_embeddings": config.max_position_embeddings,
        "rms_norm_eps": get("rms_norm_eps", "layer_norm_epsilon", "norm_epsilon"),
        "rope_parameters": get("rope_parameters") or {"rope_theta": 10000.0},
        "tie_word_embeddings": config.tie_word_embeddings,
        "attention_bias": any(n.endswith(("o_proj.bias", "attn.c_proj.bias")) for n in names),
        "mlp_bias": any(".mlp." in n and n.endswith("bias") for n in names),
        "initializer_range": config.initializer_range, "bos_token_id": config.bos_token_id,
        "eos_token_id": config.eos_token_id, "pad_token_id": config.pad_token_id,
    }


def main():
    cases = [case(n, f"w{i}", kind, sizes) for i, (n, (kind, sizes)) in enumerate(CASES.items())]
    for c in cases:
        print(c["name"], c["losses"], c["grad_norms"][0], c["greedy"])
    (HERE / "cases.json").write_text(json.dumps(
        {"source": "make.py, transformers 5.18", "cases": cases}, separators=(",", ":")) + "\n")
    kinds = [k for k, _ in dict.fromkeys((kind, 0) for kind, _ in CASES.values())]
    path = MODEL / "families.json"
    known = json.loads(path.read_text())
    known["models"] = [m for m in known["models"] if m["config"]["model_type"] not in kinds]
    known["models"] += [shapes(n, kind, sizes) for n, (kind, sizes) in CASES.items()]
    lines = ",\n".join("  " + json.dumps(m) for m in known["models"])
    path.write_text('{\n "source": %s,\n "models": [\n%s\n ]\n}\n' % (json.dumps(known["source"]), lines))
    path = MODEL / "transformers-defaults.json"
    known = json.loads(path.read_text())
    known["defaults"] |= {kind: defaults(kind) for kind in kinds}
    path.write_text(json.dumps(known, indent=1) + "\n")


main()
