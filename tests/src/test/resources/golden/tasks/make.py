"""Writes golden.json: losses, gradients and measures of sequences, with the models of the fixtures beside this one.

python make.py   (PyTorch 2.13, transformers 5.18; float64 weights, eager attention)

A row's sequences are rendered as chatml, a conversation that does not end with an answer with the start of one behind it,
and read at their last token behind the final norm: as unit vectors (embedding), through a classifier's head whose element
[i][j] is ((31 i + 17 j) mod 23 - 11) / 100, or as the difference of two tokens' logits. Each case's rows are taken in
micro-batches as "batches" says; the loss is the mean of those of the micro-batches. The losses are written down here from
their definitions: Megatron-SWIFT's, in PyTorch's functions.
"""
import json
import pathlib

import torch
import torch.nn.functional as F
from transformers import AutoModelForCausalLM, AutoTokenizer

here = pathlib.Path(__file__).parent

WORDS = "The lantern of the harbour about paper ferry list repeat".split()


def text(n, length):
    return " ".join(WORDS[(n * 5 + 3 * i + i * i) % len(WORDS)] for i in range(length))


def user(n, length):
    return [{"role": "user", "content": text(n, length)}]


def answer(n, length):
    return [{"role": "assistant", "content": text(n, length)}]


LENGTHS = [4, 1, 17, 2, 9]
CLASSES = [2, 0, 1, 1, 2]
NUMBERS = [[0.5, -1.0], [0.0, 2.25], [-3.0, 0.125], [1.0, 1.0], [0.75, -0.5]]
SETS = [[0, 2], [], [3], [1, 2, 3], [0]]
BINARY = [1, 0, 0, 1, 0]
CLOSE = [0.8, 0.1, -0.25, 1.0, 0.5]


def labelled(labels):
    return [{"messages": user(i, n), "label": label} for i, (n, label) in enumerate(zip(LENGTHS, labels))]


def pairs(labels):
    return [{"messages": user(i, n), "positive_messages": [user(i + 3, n + 1)], "label": label}
            for i, (n, label) in enumerate(zip(LENGTHS, labels))]


def groups(negatives):
    return [{"messages": user(i, n), "positive_messages": [user(i + 3, n + 2)],
             "negative_messages": [user(i + 11 + k, 1 + (n + 4 * k) % 13) for k in range(count)]}
            for i, (n, count) in enumerate(zip(LENGTHS, negatives))]


def candidates(positives, negatives):
    return [{"messages": [{"role": "system", "content": "Rank."}] * (i % 2) + user(i, n),
             "positive_messages": [answer(i + 3 + k, n + k) for k in range(positives[i])],
             "negative_messages": [answer(i + 11 + k, 1 + (n + 4 * k) % 13) for k in range(negatives[i])]}
            for i, n in enumerate(LENGTHS)]


def render(messages):
    out = "".join("<|im_start|>" + m["role"] + "\n" + m["content"] + "<|im_end|>\n" for m in messages)
    return out if messages[-1]["role"] == "assistant" else out + "<|im_start|>assistant\n"


def head_matrix(rows, columns):
    return torch.tensor([[((31 * i + 17 * j) % 23 - 11) / 100 for j in range(columns)] for i in range(rows)], dtype=torch.float64)


def info_nce(vectors, sizes, s):
    split = list(torch.split(vectors, sizes))
    if s.get("infonce_hard_negatives"):
        split = [g[: 2 + s["infonce_hard_negatives"]] for g in split]
    documents = torch.cat([g[1:] for g in split])
    queries = torch.stack([g[0] for g in split])
    losses, start = [], 0
    for i, g in enumerate(split):
        if not s.get("infonce_use_batch", True):
            scores, target = g[1:] @ g[0], 0
        else:
            target = start
            scores = documents @ g[0]
            threshold = scores[target].detach() + s.get("infonce_fake_neg_margin", 0.1)
            parts = [scores]
            if s.get("infonce_include_qq"):
                qq = queries @ g[0]
                parts.append(torch.where(torch.arange(len(split)) == i, -torch.inf, qq))
            if s.get("infonce_mask_fake_negative"):
                parts = [torch.where(p > threshold, -torch.inf, p) for p in parts]
            if s.get("infonce_include_dd"):
                dd = documents @ g[1]
                parts.append(torch.where(torch.arange(len(documents)) == target, -torch.inf, dd))
            scores = torch.cat(parts)
        start += len(g) - 1
        losses.append(F.cross_entropy(scores[None] / s.get("infonce_temperature", 0.1), torch.tensor([target])))
    return torch.stack(losses).mean()


def pair_loss(kind, vectors, labels):
    cosine = F.cosine_similarity(vectors[0::2], vectors[1::2])
    if kind == "cosine_similarity":
        return F.mse_loss(cosine, labels)
    distance = 1 - cosine
    if kind == "contrastive":
        return 0.5 * (labels * distance**2 + (1 - labels) * F.relu(0.5 - distance) ** 2).mean()
    together, apart = distance[labels == 1], distance[labels == 0]
    hard = apart[apart < (together.max() if len(together) > 1 else apart.mean())]
    far = together[together > (apart.min() if len(apart) > 1 else together.mean())]
    return (far**2).sum() + (F.relu(0.5 - hard) ** 2).sum()


def listwise(scores, sizes, s):
    temperature = s.get("listwise_reranker_temperature", 1.0)
    kept = [g for g in torch.split(scores, sizes) if len(g) >= s.get("listwise_reranker_min_group_size", 2)]
    if not kept:
        return 0.0 * scores.sum()
    return torch.stack([F.cross_entropy(g[None] / temperature, torch.tensor([0])) for g in kept]).mean()


def run(case):
    folder = here.parent / case["model"] / "model"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float64, attn_implementation="eager")
    base = model.transformer if case["model"] == "gpt2" else model.model
    s, task = case["settings"], case["task_type"]
    labels_count = s.get("num_labels", 1)
    score = head_matrix(labels_count, model.config.hidden_size).requires_grad_()
    ids = []

    def last(messages):
        tokens = tokenizer.encode(render(messages), add_special_tokens=False)
        ids.append(tokens)
        return base(torch.tensor([tokens])).last_hidden_state[0, -1]

    def document(messages, candidate):
        return messages + candidate

    losses = []
    rows = iter(case["rows"])
    for size in case["batches"]:
        batch = [next(rows) for _ in range(size)]
        hidden, sizes, labels = [], [], []
        for row in batch:
            messages = row["messages"]
            if task == "seq_cls":
                hidden.append(last(messages))
                labels.append(row["label"])
            elif task == "embedding":
                group = [messages] + row["positive_messages"] + row.get("negative_messages", [])
                group = group[: 2 + s.get("infonce_hard_negatives", len(group))]
                hidden += [last(m) for m in group]
                sizes.append(len(group))
                labels.append(row.get("label", 1.0))
            else:
                for positive in row["positive_messages"][: s.get("max_positive_samples", 1)]:
                    group = [positive] + row["negative_messages"]
                    hidden += [last(document(messages, m)) for m in group]
                    sizes.append(len(group))
                    labels += [1.0] + [0.0] * (len(group) - 1)
        hidden = torch.stack(hidden)
        kind = s.get("loss_type")
        if task == "seq_cls":
            logits = hidden @ score.T
            problem = s["problem_type"]
            if problem == "single_label_classification":
                loss = F.cross_entropy(logits, torch.tensor(labels))
            elif problem == "multi_label_classification":
                hot = torch.zeros_like(logits)
                for i, classes in enumerate(labels):
                    hot[i, classes] = 1
                loss = F.binary_cross_entropy_with_logits(logits, hot)
            else:
                loss = F.mse_loss(logits, torch.tensor(labels, dtype=torch.float64).reshape(logits.shape))
        elif task == "embedding":
            vectors = F.normalize(hidden, dim=-1)
            loss = (info_nce(vectors, sizes, s) if kind == "infonce"
                    else pair_loss(kind, vectors, torch.tensor(labels, dtype=torch.float64)))
        else:
            if task == "reranker":
                scores = (hidden @ score.T)[:, 0]
            else:
                yes, no = (tokenizer.convert_tokens_to_ids(s[k]) for k in
                           ("generative_reranker_positive_token", "generative_reranker_negative_token"))
                logits = hidden @ model.get_output_embeddings().weight.T
                scores = logits[:, yes] - logits[:, no]
            loss = (listwise(scores, sizes, s) if kind == "listwise_reranker"
                    else F.binary_cross_entropy_with_logits(scores, torch.tensor(labels, dtype=torch.float64)))
        losses.append(loss)
    loss = torch.stack(losses).mean()
    loss.backward()
    norms = {n: p.grad.norm().item() for n, p in model.named_parameters() if p.grad is not None}
    if score.grad is not None:
        norms["score.weight"] = score.grad.norm().item()
    return {**case, "ids": ids, "loss": loss.item(), "grad_norm": sum(n * n for n in norms.values()) ** 0.5, "grad_norms": norms}


def case(model, task, rows, batches, **settings):
    return {"model": model, "task_type": task, "settings": settings, "rows": rows, "batches": batches}


EMBEDDING, THE_USER = "embedding", {"generative_reranker_positive_token": "The", "generative_reranker_negative_token": "user"}
cases = [
    case("qwen3", "seq_cls", labelled(CLASSES), [3, 2], num_labels=3, problem_type="single_label_classification"),
    case("gpt2", "seq_cls", labelled(CLASSES), [5], num_labels=3, problem_type="single_label_classification"),
    case("llama3", "seq_cls", labelled(SETS), [4, 1], num_labels=4, problem_type="multi_label_classification"),
    case("qwen3", "seq_cls", labelled(NUMBERS), [2, 2, 1], num_labels=2, problem_type="regression"),
    case("gpt2", "seq_cls", labelled(CLOSE), [4, 1], num_labels=1, problem_type="regression"),
    case("qwen3", EMBEDDING, pairs(CLOSE), [3, 2], loss_type="cosine_similarity"),
    case("llama3", EMBEDDING, pairs(BINARY), [5], loss_type="contrastive"),
    case("qwen3", EMBEDDING, pairs(BINARY), [5], loss_type="online_contrastive"),
    case("gpt2", EMBEDDING, pairs(BINARY), [3, 2], loss_type="online_contrastive"),
    case("qwen3", EMBEDDING, groups([0, 0, 0, 0, 0]), [3, 2], loss_type="infonce"),
    case("llama3", EMBEDDING, groups([2, 1, 0, 3, 1]), [4, 1], loss_type="infonce", infonce_temperature=0.05),
    case("qwen3", EMBEDDING, groups([2, 1, 3, 1, 1]), [3, 2], loss_type="infonce", infonce_use_batch=False),
    case("gpt2", EMBEDDING, groups([2, 1, 3, 1, 4]), [5], loss_type="infonce", infonce_include_qq=True, infonce_include_dd=True),
    case("qwen3", EMBEDDING, groups([2, 1, 0, 3, 1]), [5], loss_type="infonce", infonce_mask_fake_negative=True,
         infonce_fake_neg_margin=0.0, infonce_include_qq=True, infonce_include_dd=True),
    case("qwen3", EMBEDDING, groups([2, 3, 2, 4, 2]), [3, 2], loss_type="infonce", infonce_hard_negatives=2),
    case("qwen3", "reranker", candidates([1, 1, 1, 1, 1], [2, 0, 3, 1, 2]), [3, 2], loss_type="pointwise_reranker"),
    case("gpt2", "reranker", candidates([1, 2, 1, 1, 1], [2, 3, 1, 0, 2]), [2, 2, 1], loss_type="listwise_reranker",
         listwise_reranker_temperature=0.5, max_positive_samples=2),
    case("llama3", "reranker", candidates([1, 1, 1, 1, 1], [2, 1, 3, 0, 2]), [5], loss_type="listwise_reranker",
         listwise_reranker_min_group_size=3),
    case("qwen3", "generative_reranker", candidates([1, 1, 1, 1, 1], [2, 1, 3, 1, 2]), [3, 2],
         loss_type="pointwise_reranker", **THE_USER),
    case("gpt2", "generative_reranker", candidates([1, 1, 1, 1, 1], [2, 1, 3, 1, 2]), [4, 1], loss_type="listwise_reranker",
         generative_reranker_positive_token="user", generative_reranker_negative_token="ers"),
]
results = [run(c) for c in cases]
(here / "golden.json").write_text("{\"cases\": [\n" + ",\n".join(json.dumps(r) for r in results) + "\n]}\n")
