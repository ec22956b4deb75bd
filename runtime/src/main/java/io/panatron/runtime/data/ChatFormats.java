package io.panatron.runtime.data;

import java.util.List;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The chat formats that {@code --template} names.
 *
 * <p>Source of the pieces: Megatron-SWIFT's template registry, and the chat templates of the
 * models.
 */
final class ChatFormats {
  static final String HELPFUL = "You are a helpful assistant.";
  private static final String HEADER = "<|start_header_id|>%s<|end_header_id|>\n\n";

  private ChatFormats() {}

  /** All formats, in the order in which help lists them. */
  static List<ChatFormat> all() {
    return Stream.of(general(), qwen(), llama(), mistral(), deepseek(), others(), RareFormats.all())
        .flatMap(List::stream)
        .toList();
  }

  /** A format by its name; null if there is none. */
  static @Nullable ChatFormat named(String name) {
    return all().stream().filter(format -> format.name().equals(name)).findFirst().orElse(null);
  }

  /**
   * The formats that models of a {@code model_type} use, the most common first.
   *
   * <p>Source: the groups of models in Megatron-SWIFT's model registry.
   */
  static List<String> ofModelType(String modelType) {
    return switch (modelType) {
      case "llama" ->
          List.of(
              "llama3_2",
              "llama3",
              "llama",
              "deepseek_r1",
              "deepseek",
              "deepseek_coder",
              "internlm2",
              "zephyr",
              "yi_coder",
              "chatml");
      case "qwen2" ->
          List.of("qwen2_5", "qwen", "qwen2_5_math", "qwq", "qwq_preview", "deepseek_r1", "chatml");
      case "qwen3" ->
          List.of("qwen3", "qwen3_thinking", "qwen3_nothinking", "deepseek_r1", "chatml");
      case "mistral" -> List.of("mistral_nemo", "mistral_2501", "llama", "zephyr", "chatml");
      case "phi3" -> List.of("phi3", "phi4", "chatml");
      case "gemma", "gemma2" -> List.of("gemma", "chatml");
      case "mimo" -> List.of("mimo_rl", "qwen", "chatml");
      case "ernie4_5" -> List.of("ernie", "chatml");
      default -> List.of("chatml", "default");
    };
  }

  /** Text alone, read at the token behind it. */
  static final String EMBEDDING = "qwen3_emb";

  /** A query and a document as a question: see {@link RerankerTemplate}. */
  static final String RERANKER = "qwen3_reranker";

  private static ChatFormat.Builder format(String name) {
    return new ChatFormat.Builder(name);
  }

  private static ChatFormat.Builder chatMl(String name) {
    return format(name)
        .prefix("", "<|im_start|>system\n{{SYSTEM}}<|im_end|>\n")
        .prompt("<|im_start|>user\n{{QUERY}}<|im_end|>\n<|im_start|>assistant\n")
        .ends("<|im_end|>\n", "<|im_end|>\n")
        .tokens("<|im_start|>", "<|im_end|>");
  }

  private static List<ChatFormat> general() {
    return List.of(
        chatMl("chatml").begins().build(),
        format("default")
            .prefix("", "{{SYSTEM}}\n\n")
            .prompt("### Human:\n{{QUERY}}\n\n### Assistant:\n")
            .ends("\n\n", "{{EOS}}")
            .system(HELPFUL)
            .begins()
            .build(),
        format("dummy").begins().build());
  }

  static ChatFormat.Builder qwen(String name) {
    return chatMl(name).stops("<|endoftext|>").agent("hermes");
  }

  private static List<ChatFormat> qwen() {
    return List.of(
        qwen("qwen").system(HELPFUL).build(),
        qwen("qwen2_5")
            .system("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.")
            .build(),
        qwen("qwen2_5_math")
            .system("Please reason step by step, and put your final answer within \\boxed{}.")
            .build(),
        qwen("qwen3").thinks("", "<think>\n\n</think>\n\n").build(),
        qwen("qwen3_thinking").thinks("<think>\n", "").build(),
        qwen("qwen3_nothinking").build(),
        qwen("qwen3_coder").agent("qwen3_coder").build(),
        format(EMBEDDING)
            .prefix("", "{{SYSTEM}} ")
            .prompt("{{QUERY}}<|endoftext|>")
            .tokens("<|endoftext|>")
            .build(),
        qwen(RERANKER)
            .system(
                "Judge whether the Document meets the requirements based on the Query and the"
                    + " Instruct provided. Note that the answer can only be \"yes\" or \"no\".")
            .thinks("<think>\n\n</think>\n\n", "<think>\n\n</think>\n\n")
            .build(),
        qwen("qwq").thinks("<think>\n", "").build(),
        qwen("qwq_preview")
            .system(
                "You are a helpful and harmless assistant. You are Qwen developed by Alibaba. You"
                    + " should think step-by-step.")
            .build(),
        qwen("mimo_rl").system("You are MiMo, an AI assistant developed by Xiaomi.").build());
  }

  private static ChatFormat.Builder llama3(String name) {
    return format(name)
        .prefix(
            "<|begin_of_text|>",
            "<|begin_of_text|>" + HEADER.formatted("system") + "{{SYSTEM}}<|eot_id|>")
        .prompt(HEADER.formatted("user") + "{{QUERY}}<|eot_id|>" + HEADER.formatted("assistant"))
        .ends("<|eot_id|>", "<|eot_id|>")
        .tokens("<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>")
        .agent("llama3");
  }

  private static List<ChatFormat> llama() {
    String dated =
        "<|begin_of_text|>"
            + HEADER.formatted("system")
            + "Cutting Knowledge Date: December 2023\nToday Date: {{DAY}}\n\n%s<|eot_id|>";
    return List.of(
        format("llama")
            .prefix("<s>[INST] ", "<s>[INST] <<SYS>>\n{{SYSTEM}}\n<</SYS>>\n\n")
            .prompt("{{QUERY}} [/INST]")
            .ends("</s><s>[INST] ", "</s>")
            .tokens("<s>", "</s>")
            .system(
                "You are a helpful, respectful and honest assistant. Always answer as helpfully as"
                    + " possible, while being safe. Your answers should not include any harmful,"
                    + " unethical, racist, sexist, toxic, dangerous, or illegal content. Please"
                    + " ensure that your responses are socially unbiased and positive in nature.\n\n"
                    + "If a question does not make any sense, or is not factually coherent, explain"
                    + " why instead of answering something not correct. If you don't know the answer"
                    + " to a question, please don't share false information.")
            .build(),
        llama3("llama3").build(),
        llama3("llama3_2").prefix(dated.formatted(""), dated.formatted(ChatFormat.SYSTEM)).build());
  }

  private static List<ChatFormat> mistral() {
    return List.of(
        format("mistral_nemo")
            .prefix("<s>[INST] ", null)
            .lateSystem("{{SYSTEM}}\n\n")
            .prompt("{{QUERY}}[/INST]")
            .ends("</s>[INST] ", "</s>")
            .tokens("<s>", "</s>", "[INST]", "[/INST]")
            .build(),
        format("mistral_2501")
            .prefix("<s>", "<s>[SYSTEM_PROMPT]{{SYSTEM}}[/SYSTEM_PROMPT]")
            .prompt("[INST]{{QUERY}}[/INST]")
            .ends("</s>", "</s>")
            .tokens("<s>", "</s>", "[INST]", "[/INST]", "[SYSTEM_PROMPT]", "[/SYSTEM_PROMPT]")
            .system(
                "You are Mistral Small 3, a Large Language Model (LLM) created by Mistral AI, a"
                    + " French startup headquartered in Paris.\nYour knowledge base was last updated"
                    + " on 2023-10-01. The current date is {{DATE}}.\n\nWhen you're not sure about"
                    + " some information, you say that you don't have the information and don't make"
                    + " up anything.\nIf the user's question is not clear, ambiguous, or does not"
                    + " provide enough context for you to accurately answer the question, you do not"
                    + " try to answer it right away and you rather ask the user to clarify their"
                    + " request (e.g. \"What are some good restaurants around me?\" => \"Where are"
                    + " you?\" or \"When is the next flight to Tokyo\" => \"Where do you travel"
                    + " from?\")")
            .build(),
        format("zephyr")
            .prefix("", "<|system|>\n{{SYSTEM}}</s>\n")
            .prompt("<|user|>\n{{QUERY}}</s>\n<|assistant|>\n")
            .ends("</s>\n", "</s>")
            .tokens("</s>")
            .build());
  }

  private static ChatFormat.Builder deepseek(String name) {
    String begin = "<｜begin▁of▁sentence｜>";
    String end = "<｜end▁of▁sentence｜>";
    return format(name)
        .prefix(begin, begin + ChatFormat.SYSTEM)
        .prompt("<｜User｜>{{QUERY}}<｜Assistant｜>")
        .ends(end, end)
        .tokens(begin, end, "<｜User｜>", "<｜Assistant｜>");
  }

  private static List<ChatFormat> deepseek() {
    return List.of(
        format("deepseek")
            .prefix("{{BOS}}", "{{BOS}}{{SYSTEM}}\n\n")
            .prompt("User: {{QUERY}}\n\nAssistant:")
            .ends("{{EOS}}", "{{EOS}}")
            .build(),
        format("deepseek_coder")
            .prefix("", "{{SYSTEM}}")
            .prompt("### Instruction:\n{{QUERY}}\n### Response:\n")
            .ends("\n<|EOT|>\n", "\n<|EOT|>")
            .tokens("<|EOT|>")
            .stops("<|EOT|>")
            .system(
                "You are an AI programming assistant, utilizing the Deepseek Coder model, developed"
                    + " by Deepseek Company, and you only answer questions related to computer"
                    + " science. For politically sensitive questions, security and privacy issues,"
                    + " and other non-computer science questions, you will refuse to answer\n")
            .build(),
        deepseek("deepseek_v2_5").build(),
        deepseek("deepseek_r1").thinks("<think>\n", "").build());
  }

  private static List<ChatFormat> others() {
    return List.of(
        chatMl("yi_coder").begins().system(HELPFUL).build(),
        chatMl("internlm2")
            .begins()
            .system(
                "You are an AI assistant whose name is InternLM (书生·浦语).\n- InternLM (书生·浦语) is a"
                    + " conversational language model that is developed by Shanghai AI Laboratory"
                    + " (上海人工智能实验室). It is designed to be helpful, honest, and harmless.\n-"
                    + " InternLM (书生·浦语) can understand and communicate fluently in the language"
                    + " chosen by the user such as English and 中文.")
            .build(),
        format("gemma")
            .prefix("<bos>", "<bos><start_of_turn>system\n{{SYSTEM}}<end_of_turn>\n")
            .prompt("<start_of_turn>user\n{{QUERY}}<end_of_turn>\n<start_of_turn>model\n")
            .ends("<end_of_turn>\n", "<end_of_turn>")
            .tokens("<bos>", "<start_of_turn>", "<end_of_turn>")
            .build(),
        format("phi3")
            .prefix("", "<|system|>\n{{SYSTEM}}<|end|>\n")
            .prompt("<|user|>\n{{QUERY}}<|end|>\n<|assistant|>\n")
            .ends("<|end|>\n", "<|end|>")
            .tokens("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
            .begins()
            .build(),
        format("phi4")
            .prefix("", "<|im_start|>system<|im_sep|>{{SYSTEM}}<|im_end|>")
            .prompt("<|im_start|>user<|im_sep|>{{QUERY}}<|im_end|><|im_start|>assistant<|im_sep|>")
            .ends("<|im_end|>", "<|im_end|>")
            .tokens("<|im_start|>", "<|im_sep|>", "<|im_end|>")
            .begins()
            .build(),
        format("minicpm")
            .prefix("<s>", "<s>{{SYSTEM}}")
            .prompt("<用户>{{QUERY}}<AI>")
            .ends("", "</s>")
            .tokens("<s>", "</s>")
            .build(),
        format("ernie")
            .prefix("<|begin_of_sentence|>", "<|begin_of_sentence|>{{SYSTEM}}\n")
            .prompt("User: {{QUERY}}\nAssistant: ")
            .ends("<|end_of_sentence|>", "</s>")
            .tokens("<|begin_of_sentence|>", "<|end_of_sentence|>", "</s>")
            .build(),
        format("codefuse")
            .prefix("", "<s>system\n{{SYSTEM}}\n")
            .prompt("<s>human\n{{QUERY}}\n<s>bot\n")
            .ends("{{EOS}}\n", "{{EOS}}")
            .tokens("<s>")
            .build(),
        format("xverse")
            .prefix("", "{{SYSTEM}}")
            .prompt("Human: {{QUERY}}\n\nAssistant: ")
            .ends("{{EOS}}", "{{EOS}}")
            .build());
  }
}
