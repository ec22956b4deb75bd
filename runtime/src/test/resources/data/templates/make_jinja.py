"""Makes jinja.json: what transformers renders with the chat templates of the models themselves.

    python make_jinja.py HUGGINGFACE_JS TOKENIZER > jinja.json

HUGGINGFACE_JS: a checkout of huggingface/huggingface.js at fe42e68, whose tests and ollama-utils quote the models' templates.
TOKENIZER: any tokenizer folder, such as ../qwen2; only its begin and end token matter, and they are set here.
Needs transformers.
"""

import ast
import json
import os
import re
import sys

os.environ.update(HF_HUB_OFFLINE="1", TRANSFORMERS_OFFLINE="1")
from transformers import AutoTokenizer  # noqa: E402

QUOTED = {
    "e2e": "packages/jinja/test/e2e.test.js",
    "ollama": "packages/ollama-utils/src/chat-template-automap.ts",
}
TEXTS = {k: open(os.path.join(sys.argv[1], path), encoding="utf-8").read() for k, path in QUOTED.items()}


def quoted(source, key, occurrence):
    """The string literal after chat_template: (or gguf:) behind a key."""
    text = TEXTS[source]
    field = "chat_template:" if source == "e2e" else "gguf:"
    at = [match.end() for match in re.finditer(re.escape(f'"{key}"'), text)][occurrence]
    at = text.index(field, at) + len(field)
    literal = re.compile(r"""\s*("(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|`(?:[^`\\]|\\.)*`)""", re.S).match(text, at).group(1)
    if literal[0] == "`":
        literal = '"""' + literal[1:-1].replace('"', '\\"') + '"""'
    return ast.literal_eval(literal)


def m(role, content):
    return {"role": role, "content": content}


THINK = "<think>\nhm\n</think>\n\n"
SINGLE = [m("user", "Q1"), m("assistant", "A1")]
SYSTEM = [m("system", "Be brief.")] + SINGLE
TURNS = SINGLE + [m("user", "Q2"), m("assistant", "A2")]
BOTH = [m("system", "Be brief.")] + TURNS
THOUGHT = [m("user", "Q1"), m("assistant", THINK + "A1"), m("user", "Q2"), m("assistant", THINK + "A2")]
FUNCTION = {
    "type": "function",
    "function": {
        "name": "weather",
        "description": "Weather of the coming days.",
        "parameters": {"type": "object", "properties": {"city": {"type": "string", "description": "Köln or so"}}, "required": ["city"]},
    },
}


def call(city):
    return {"type": "function", "function": {"name": "weather", "arguments": {"city": city}}}


TOOLS = [
    m("system", "Be brief."),
    m("user", "Köln and Rome?"),
    {"role": "assistant", "content": "", "tool_calls": [call("Köln"), call("Rome")]},
    m("tool", "cold"),
    m("tool", "warm"),
    m("assistant", "Cold and warm."),
]
# Which conversations are compared, and whether as a whole text, as a prompt or both. What is left out here is what Megatron-SWIFT
# writes otherwise on purpose; see docs/templates.md.
ALL = [SINGLE, SYSTEM, TURNS, BOTH]
WITH_SYSTEM = [SYSTEM, BOTH]
MODELS = [
    ("qwen", "ollama", "library/qwen2:0.5b", 0, ALL, "both", {}),
    ("qwen2_5", "e2e", "Qwen/Qwen2.5-7B-Instruct", 0, ALL + [TOOLS], "both", {}),
    ("qwen3", "e2e", "Qwen/Qwen3-0.6B", 0, ALL + [THOUGHT], "both", {}),
    ("qwen3", "e2e", "Qwen/Qwen3-0.6B", 0, ALL, "both", {"enable_thinking": False}),
    ("qwen3_nothinking", "e2e", "Qwen/Qwen3-0.6B", 0, [TOOLS], "prompt", {}),
    ("qwq_preview", "ollama", "library/qwq:32b", 0, ALL, "both", {}),
    ("qwq", "ollama", "library/qwq:32b", 2, ALL, "prompt", {}),
    ("llama3", "ollama", "library/llama3:8b", 0, ALL, "both", {}),
    ("llama3_2", "ollama", "library/llama3.2:3b", 0, ALL, "both", {"date_string": "05 Mar 2026"}),
    ("llama", "ollama", "library/llama2:7b", 0, [SYSTEM], "prompt", {}),
    ("mistral_2501", "ollama", "library/mistral-small:24b", 0, WITH_SYSTEM, "both", {}),
    ("zephyr", "e2e", "HuggingFaceH4/zephyr-7b-beta (add_generation_prompt=true)", 0, ALL, "prompt", {}),
    ("deepseek_r1", "ollama", "library/deepseek-r1:8b", 0, ALL, "text", {}),
    ("deepseek_v2_5", "ollama", "library/deepseek-v2.5:236b", 0, [SINGLE, TURNS], "both", {}),
    ("deepseek_coder", "ollama", "library/deepseek-coder:1.3b", 0, ALL, "prompt", {}),
    ("deepseek", "e2e", "deepseek-ai/deepseek-llm-7b-chat", 0, [SINGLE, SYSTEM], "prompt", {}),
    ("yi_coder", "ollama", "library/yi-coder:1.5b", 0, WITH_SYSTEM, "both", {}),
    ("internlm2", "ollama", "library/internlm2:1.8b", 0, WITH_SYSTEM, "both", {}),
    ("gemma", "ollama", "library/gemma2:2b", 0, [SINGLE, TURNS], "prompt", {}),
    ("phi3", "ollama", "library/phi3:3.8b", 0, ALL, "prompt", {}),
    ("phi4", "ollama", "library/phi4:14b", 0, ALL, "both", {}),
]
BEGIN = {"llama": "<s>", "llama3": "<|begin_of_text|>", "llama3_2": "<|begin_of_text|>", "gemma": "<bos>"}
BEGIN.update({n: "<｜begin▁of▁sentence｜>" for n in ("deepseek_r1", "deepseek_v2_5")}, mistral_2501="<s>", deepseek="<BOS>")
END = {"llama": "</s>", "mistral_2501": "</s>", "zephyr": "</s>", "deepseek": "<EOS>"}
END.update({n: "<｜end▁of▁sentence｜>" for n in ("deepseek_r1", "deepseek_v2_5")})

tokenizer = AutoTokenizer.from_pretrained(sys.argv[2])
cases = []
for name, source, key, occurrence, conversations, compared, options in MODELS:
    template = quoted(source, key, occurrence)
    tokenizer.bos_token, tokenizer.eos_token = BEGIN.get(name, ""), END.get(name, "<|im_end|>")
    for messages in conversations:
        case = {"template": name, "source": key, "messages": messages}
        if "enable_thinking" in options:
            case["enable_thinking"] = options["enable_thinking"]
        tools = [FUNCTION] if messages is TOOLS else None
        if tools:
            case["tools"] = tools
        if name == "qwen3":
            case["loss_scale"] = "last_round"  # drops thoughts as the model's own template does
        rendering = dict(tools=tools, chat_template=template, tokenize=False, **options)
        if compared != "prompt":
            case["text"] = tokenizer.apply_chat_template(messages, **rendering)
        if compared != "text":
            case["prompt"] = tokenizer.apply_chat_template(messages[:-1], add_generation_prompt=True, **rendering)
        cases.append(case)
print("[\n%s\n]" % ",\n".join("  " + json.dumps(c, ensure_ascii=False) for c in cases))
