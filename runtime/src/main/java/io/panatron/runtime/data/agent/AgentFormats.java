package io.panatron.runtime.data.agent;

import java.util.List;
import org.jspecify.annotations.Nullable;

/** The agent formats that {@code --agent_template} names. */
public final class AgentFormats {
  private static final List<String> NAMES =
      List.of(
          "react_en",
          "react_zh",
          "react_grpo",
          "toolbench",
          "qwen_en",
          "qwen_zh",
          "qwen_en_parallel",
          "qwen_zh_parallel",
          "qwen3_coder",
          "hermes",
          "llama3",
          "llama4",
          "mistral",
          "chatglm4",
          "glm4",
          "glm4_5",
          "glm4_7",
          "deepseek_v3_1",
          "seed_oss",
          "hunyuan_hermes",
          "youtu");

  private AgentFormats() {}

  /** All names. */
  public static List<String> names() {
    return NAMES;
  }

  /** A format by its name; null if there is none. */
  public static @Nullable AgentFormat named(String name) {
    return switch (name) {
      case "react_en" -> react(ReactWording.REACT_EN);
      case "react_zh" -> react(ReactWording.REACT_ZH);
      case "react_grpo" -> react(ReactWording.REACT_GRPO);
      case "toolbench" -> react(ReactWording.TOOLBENCH);
      case "qwen_en" -> qwen(ReactWording.QWEN_EN);
      case "qwen_zh" -> qwen(ReactWording.QWEN_ZH);
      case "qwen_en_parallel" -> qwen(ReactWording.QWEN_EN_PARALLEL);
      case "qwen_zh_parallel" -> qwen(ReactWording.QWEN_ZH_PARALLEL);
      case "qwen3_coder" -> new CoderFormat();
      case "hermes" -> new HermesFormat();
      case "llama3" -> new LlamaFormat("<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>");
      case "llama4" -> new LlamaFormat("<|header_start|>", "<|header_end|>", "<|eot|>");
      case "mistral" -> new MistralFormat();
      case "chatglm4" -> GlmFormat.CHATGLM4;
      case "glm4" -> GlmFormat.GLM4;
      case "glm4_5" -> GlmTagFormat.GLM4_5;
      case "glm4_7" -> GlmTagFormat.GLM4_7;
      case "deepseek_v3_1" -> new DeepSeekFormat();
      case "seed_oss" -> new SeedFormat();
      case "hunyuan_hermes" -> new HunyuanFormat();
      case "youtu" -> new YoutuFormat();
      default -> null;
    };
  }

  private static AgentFormat react(ReactWording wording) {
    return new ReactFormat(ReactFormat.Keywords.REACT, wording);
  }

  private static AgentFormat qwen(ReactWording wording) {
    return new ReactFormat(ReactFormat.Keywords.QWEN, wording);
  }
}
