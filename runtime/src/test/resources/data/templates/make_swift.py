"""Makes swift.json: what Megatron-SWIFT's own templates make of conversations.

    python make_swift.py MS_SWIFT TOKENIZER > swift.json

MS_SWIFT: a checkout of modelscope/ms-swift at 0ce92a35 (2026-02-02).
TOKENIZER: any folder with a byte-level tokenizer.json, such as ../qwen2; special tokens are added here.
Needs torch, transformers and peft. What else ms-swift imports is replaced by empty modules, since templates use none of it.
"""

import importlib.abc
import importlib.machinery
import json
import logging
import os
import re
import sys
import types
from copy import deepcopy

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1", LOG_LEVEL="ERROR")
import accelerate  # noqa: F401, E402
import peft  # noqa: F401, E402
import torch  # noqa: F401, E402
from transformers import AutoTokenizer  # noqa: E402

ABSENT = (
    "modelscope datasets trl oss2 addict dacite jieba rouge nltk sentencepiece tiktoken attrdict binpacking cpm_kernels einops"
    " fastapi uvicorn gradio openai pandas matplotlib simplejson qwen_vl_utils decord cv2 charset_normalizer json_repair"
    " zstandard scipy aiohttp torchvision requests urllib3 transformers_stream_generator"
).split()


class Empty(types.ModuleType):
    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        value = type(name, (), {"__init__": lambda self, *a, **k: None, "__call__": lambda self, *a, **k: None})
        setattr(self, name, value)
        return value


class Finder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path, target=None):
        if name.split(".")[0] in ABSENT:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)

    def create_module(self, spec):
        return Empty(spec.name)

    def exec_module(self, module):
        module.__path__ = []
        module.__version__ = "99.0"


sys.meta_path.append(Finder())
sys.path.insert(0, sys.argv[1])
import modelscope.utils.logger  # noqa: E402

quiet = logging.getLogger("quiet")
quiet.addHandler(logging.NullHandler())
modelscope.utils.logger.get_logger = lambda *a, **k: quiet
sys.modules["swift.infer_engine"] = Empty("swift.infer_engine")
from swift.template import TEMPLATE_MAPPING, Template  # noqa: E402

NAMES = (
    "chatml default dummy qwen qwen2_5 qwen2_5_math qwen3 qwen3_thinking qwen3_nothinking qwen3_coder qwq qwq_preview mimo_rl"
    " llama llama3 llama3_2 mistral_nemo mistral_2501 zephyr deepseek deepseek_coder deepseek_v2_5 deepseek_r1 yi_coder"
    " internlm2 gemma phi3 phi4 minicpm ernie codefuse xverse modelscope_agent baichuan_m1 numina ziya bluelm"
    " codefuse_codellama sus orion mengzi c4ai aya wizardlm2 wizardlm2_moe atom ling ling2 dots1 hunyuan_moe iquestcoder"
).split()
AGENTS = (
    "react_en react_zh react_grpo toolbench qwen_en qwen_zh qwen_en_parallel qwen_zh_parallel qwen3_coder hermes llama3 llama4"
    " mistral chatglm4 glm4 glm4_5 glm4_7 deepseek_v3_1 hunyuan_hermes youtu"
).split()
SPECIAL = (
    "<EOS> <BOS> <s> </s> <|im_start|> <|im_end|> <|im_sep|> <|endoftext|> <|begin_of_text|> <|start_header_id|>"
    " <|end_header_id|> <|eot_id|> <|header_start|> <|header_end|> <|eot|> [INST] [/INST] [SYSTEM_PROMPT] [/SYSTEM_PROMPT]"
    " <|EOT|> <｜begin▁of▁sentence｜> <｜end▁of▁sentence｜> <｜User｜> <｜Assistant｜> <bos> <start_of_turn> <end_of_turn>"
    " <|system|> <|user|> <|assistant|> <|end|> <|begin_of_sentence|> <|end_of_sentence|> <BOS_TOKEN> <|eos|> <|role_end|>"
).split()


def m(role, content, **more):
    return {"role": role, "content": content, **more}


def weather(city):
    return m("tool_call", json.dumps({"name": "weather", "arguments": {"city": city, "days": 2, "units": None}}, ensure_ascii=False))


def answer(city):
    return m("tool", json.dumps({"city": city, "celsius": 7.5}, ensure_ascii=False))


TOOLS = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "Weather of the coming days.",
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "A city, such as Köln"},
                    "days": {"type": "integer", "minimum": 1},
                    "units": {"type": ["string", "null"], "enum": ["C", "F", None]},
                },
                "required": ["city"],
            },
        },
    },
    {"name": "time", "name_for_human": "Clock", "description": "The time \"now\".", "parameters": {}},
]
THINK = "<think>\nhm\n</think>\n\n"
CONVERSATIONS = [
    {"messages": [m("user", "Hi {{QUERY}}"), m("assistant", " Hello\n")]},
    {"messages": [m("system", "Be brief."), m("user", "Q1"), m("assistant", "A1"), m("user", "Q2"), m("assistant", "A2")]},
    {"messages": [m("system", ""), m("user", "Q"), m("assistant", "A")]},
    {"messages": [m("user", "Q1"), m("assistant", THINK + "A1"), m("user", "Q2"), m("assistant", THINK + "A2\n")]},
    {"messages": [m("user", "Q1"), m("assistant", "A1"), m("user", "Q2"), m("assistant", THINK + "A2")]},
    {"messages": [m("assistant", "First."), m("user", "Q"), m("user", " again"), m("assistant", "A"), m("assistant", "B")]},
]
AGENT_CONVERSATIONS = [
    {
        "tools": TOOLS,
        "messages": [
            m("system", "Be brief."),
            m("user", "Köln and Rome?"),
            weather("Köln"),
            weather("Rome"),
            answer("Köln"),
            answer("Rome"),
            m("assistant", "Cold."),
        ],
    },
    {
        "tools": TOOLS[:1],
        "messages": [
            m("user", "Q1"),
            m("assistant", "A1"),
            m("user", "Bonn?"),
            m("assistant", THINK),
            weather("Bonn"),
            answer("Bonn"),
            m("assistant", "Once more: "),
            weather("Bonn"),
            m("tool", "failed\n"),
            m("assistant", "Unknown."),
        ],
    },
    {
        "tools": TOOLS[:1],
        "messages": [
            m("user", "Q"),
            m("assistant", "Thought: ask\nAction: weather\nAction Input: {}"),
            m("tool", "cold"),
            m("assistant", "Cold."),
        ],
    },
]


def tokenizer():
    t = AutoTokenizer.from_pretrained(sys.argv[2])
    t.add_special_tokens({"additional_special_tokens": SPECIAL, "eos_token": "<EOS>", "bos_token": "<BOS>"})
    t.model_info = types.SimpleNamespace(config=None, task_type="causal_lm", max_model_len=10**6)
    t.model_meta = types.SimpleNamespace(is_multimodal=False)
    return t


TOKENIZER = tokenizer()


def undated(prompt):
    """Puts 5 March 2026 where the template has today."""
    if isinstance(prompt, str):
        prompt = re.sub(r"Today Date: \d\d \w+ \d{4}", "Today Date: 05 Mar 2026", prompt)
        return re.sub(r"The current date is \d{4}-\d\d-\d\d", "The current date is 2026-03-05", prompt)
    return [undated(p) if isinstance(p, str) else p for p in prompt] if prompt else prompt


def template(name, mode, **options):
    meta = deepcopy(TEMPLATE_MAPPING[name])
    assert meta.template_cls is Template, name
    meta.prefix, meta.system_prefix = undated(meta.prefix), undated(meta.system_prefix)
    meta.default_system = undated(meta.default_system) if meta.default_system else meta.default_system
    t = Template(TOKENIZER, meta, **options)
    t.mode = mode
    return t


def text(ids):
    return TOKENIZER.decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)


def parts(ids, labels):
    """Stretches of equal weight: [text, 0 or 1]."""
    result = []
    for i, (token, label) in enumerate(zip(ids, labels)):
        weight = int(label != -100)
        if not result or result[-1][1] != weight:
            result.append([[], weight])
        result[-1][0].append(token)
    return [[text(part), weight] for part, weight in result]


def case(conversation, index, name, agent=None, loss_scale="default", thinking=None, add_prefix=True):
    result = {"conversation": index, "template": name}
    if agent:
        result["agent"] = agent
    if loss_scale != "default":
        result["loss_scale"] = loss_scale
    if thinking is not None:
        result["enable_thinking"] = thinking
    if not add_prefix:
        result["add_non_thinking_prefix"] = False
    options = dict(agent_template=agent, enable_thinking=thinking, add_non_thinking_prefix=add_prefix)
    try:
        row = deepcopy(conversation)
        encoded = template(name, "train", loss_scale=loss_scale, **options).encode(row)
        result["parts"] = parts(encoded["input_ids"], encoded["labels"])
        row = deepcopy(conversation)
        while row["messages"] and row["messages"][-1]["role"] in ("assistant", "tool_call"):
            row["messages"].pop()
        if name != "dummy":  # which asks for the tokenizer's own template here
            result["prompt"] = text(template(name, "transformers", **options).encode(row)["input_ids"])
    except (AssertionError, ValueError, KeyError, TypeError, AttributeError) as e:  # a refusal
        print(name, index, agent, repr(e), file=sys.stderr)
        result = {k: v for k, v in result.items() if k not in ("parts", "prompt")}
        result["refused"] = type(e).__name__
    return result


cases = []
for name in NAMES:
    for i in (0, 1, 2, 5):
        if name == "mistral_nemo" and i != 1 or name == "dummy" and i == 2:
            continue  # without a system prompt the one writes {{SYSTEM}} itself, the other refuses an empty one
        cases.append(case(CONVERSATIONS[i], i, name))
for name in "qwen3 qwen3_thinking qwen3_nothinking qwq deepseek_r1 llama3".split():
    for i in (1, 3, 4):
        for loss_scale in ("default", "last_round"):
            cases.append(case(CONVERSATIONS[i], i, name, loss_scale=loss_scale))
        for thinking in (True, False):
            cases.append(case(CONVERSATIONS[i], i, name, loss_scale="last_round", thinking=thinking))
        cases.append(case(CONVERSATIONS[i], i, name, add_prefix=False))
base = len(CONVERSATIONS)
for i, c in enumerate(AGENT_CONVERSATIONS):
    few = "react_en qwen_en hermes llama3 glm4 glm4_5 glm4_7 deepseek_v3_1 hunyuan_hermes youtu".split()
    for agent in AGENTS if i == 0 else few:
        cases.append(case(c, base + i, "qwen2_5", agent=agent))
    for name in "qwen3 llama3 qwen3_thinking".split():
        cases.append(case(c, base + i, name, loss_scale="last_round"))
    for name in "qwen3 qwen3_coder llama3".split():
        cases.append(case(c, base + i, name))
    cases.append(case(c, base + i, "mistral_2501", agent="mistral"))
    cases.append(case(c, base + i, "llama", agent="hermes"))

# Seed's code takes no list of types, as the tools above have one.
SEED = deepcopy(AGENT_CONVERSATIONS)
for c in SEED:
    for tool in c["tools"]:
        parameters = tool.get("function", tool)["parameters"]
        for field in parameters.get("properties", {}).values():
            field["type"] = "integer" if field["type"] == "integer" else "string"
        tool.get("function", tool)["returns"] = {"properties": {"celsius": {"type": "number", "description": "Degrees"}}}
for i, c in enumerate(SEED):
    cases.append(case(c, base + len(AGENT_CONVERSATIONS) + i, "qwen2_5", agent="seed_oss"))
    cases.append(case(c, base + len(AGENT_CONVERSATIONS) + i, "chatml", agent="seed_oss"))

out = {"source": "modelscope/ms-swift 0ce92a35", "conversations": CONVERSATIONS + AGENT_CONVERSATIONS + SEED, "cases": cases}
lines = ",\n".join("    " + json.dumps(c, ensure_ascii=False) for c in out["cases"])
conversations = ",\n".join("    " + json.dumps(c, ensure_ascii=False) for c in out["conversations"])
print('{\n  "source": "%s",\n  "conversations": [\n%s\n  ],\n  "cases": [\n%s\n  ]\n}' % (out["source"], conversations, lines))
