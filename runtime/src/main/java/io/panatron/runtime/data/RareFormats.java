package io.panatron.runtime.data;

import java.util.List;

/** Chat formats of models that are seldom met, which {@link ChatFormats} lists after the others. */
final class RareFormats {
  private static final String SYSTEM = ChatFormat.SYSTEM;
  private static final String COHERE_TURN = "<|START_OF_TURN_TOKEN|>";
  private static final String COHERE_END = "<|END_OF_TURN_TOKEN|>";

  private RareFormats() {}

  static List<ChatFormat> all() {
    return List.of(
        format("modelscope_agent")
            .prefix("", " \n\n<|system|>:{{SYSTEM}}")
            .prompt(" \n\n<|user|>:{{QUERY}} \n\n<|assistant|>:")
            .ends("", " \n\n</s>")
            .system(ChatFormats.HELPFUL)
            .build(),
        format("baichuan_m1")
            .prefix("", "<B_SYS>{{SYSTEM}}")
            .prompt("<C_Q>{{QUERY}}<C_A>")
            .ends("", "<C_A>")
            .system(ChatFormats.HELPFUL)
            .tokens("<B_SYS>", "<C_Q>", "<C_A>")
            .build(),
        format("numina")
            .prefix("{{BOS}}", "{{BOS}}{{SYSTEM}}")
            .prompt("### Problem: {{QUERY}}\n### Solution: ")
            .ends("\n", "{{EOS}}")
            .build(),
        format("ziya")
            .prefix("", "{{BOS}}{{SYSTEM}}")
            .prompt("<human>:{{QUERY}}\n<bot>:")
            .ends("\n", "{{EOS}}")
            .build(),
        format("bluelm")
            .prefix("", "{{BOS}}{{SYSTEM}}")
            .prompt("[|Human|]:{{QUERY}}[|AI|]:")
            .ends("", "{{EOS}}")
            .build(),
        format("codefuse_codellama")
            .prefix("", SYSTEM)
            .prompt("<|role_start|>human<|role_end|>{{QUERY}}<|role_start|>bot<|role_end|>")
            .ends("", "{{EOS}}")
            .build(),
        format("sus")
            .prefix("", SYSTEM)
            .prompt("### Human: {{QUERY}}\n\n### Assistant: ")
            .ends("<|endoftext|>", "<|endoftext|>")
            .tokens("<|endoftext|>")
            .build(),
        format("orion")
            .prefix("<s>", "<s>{{SYSTEM}}")
            .prompt("Human: {{QUERY}}\n\nAssistant: </s>")
            .ends("</s>", "</s>")
            .tokens("<s>", "</s>")
            .build(),
        format("mengzi")
            .prefix("", "指令：{{SYSTEM}}")
            .prompt("输入：{{QUERY}}输出：\n")
            .ends("", "{{EOS}}")
            .build(),
        cohere("c4ai")
            .system(
                "You are Command-R, a brilliant, sophisticated, AI-assistant trained to assist human"
                    + " users by providing thorough responses.You are trained by Cohere.")
            .build(),
        cohere("aya")
            .system(
                "You are Aya, a brilliant, sophisticated, multilingual AI-assistant trained to"
                    + " assist human users by providing thorough responses. You are able to interact"
                    + " and respond to questions in 23 languages and you are powered by a"
                    + " multilingual model built by Cohere For AI.")
            .build(),
        format("wizardlm2")
            .prefix("", SYSTEM)
            .prompt("User:\n{{QUERY}}\n\nAssistant:\n")
            .ends("\n\n", "</s>")
            .tokens("</s>")
            .build(),
        format("wizardlm2_moe")
            .prefix("", SYSTEM)
            .prompt("USER: {{QUERY}} ASSISTANT:")
            .ends("</s>", "</s>")
            .tokens("</s>")
            .system(
                "A chat between a curious user and an artificial intelligence assistant. The"
                    + " assistant gives helpful, detailed, and polite answers to the user's"
                    + " questions. ")
            .build(),
        format("atom")
            .prefix("", SYSTEM)
            .prompt("<s>Human: {{QUERY}}\n</s><s>Assistant: ")
            .ends("</s>", "</s>")
            .tokens("<s>", "</s>")
            .build(),
        format("ling")
            .prefix("", "<role>SYSTEM</role>{{SYSTEM}}")
            .prompt("<role>HUMAN</role>{{QUERY}}<role>ASSISTANT</role>")
            .ends("", "<|endoftext|>")
            .tokens("<|endoftext|>")
            .build(),
        format("ling2")
            .prefix(
                "<role>SYSTEM</role>detailed thinking off<|role_end|>",
                "<role>SYSTEM</role>{{SYSTEM}}\ndetailed thinking off<|role_end|>")
            .prompt("<role>HUMAN</role>{{QUERY}}<|role_end|><role>ASSISTANT</role>")
            .ends("<|role_end|>", "<|role_end|>")
            .tokens("<|role_end|>")
            .build(),
        format("dots1")
            .prefix("<|system|><|endofsystem|>", "<|system|>{{SYSTEM}}<|endofsystem|>")
            .prompt("<|userprompt|>{{QUERY}}<|endofuserprompt|><|response|>")
            .ends("<|endofresponse|>", "<|endofresponse|>")
            .tokens("<|userprompt|>", "<|endofuserprompt|>", "<|response|>", "<|endofresponse|>")
            .system(ChatFormats.HELPFUL)
            .build(),
        format("hunyuan_moe")
            .prefix("<|startoftext|>", "<|startoftext|>{{SYSTEM}}<|extra_4|>")
            .prompt("{{QUERY}}<|extra_0|>")
            .ends("<|eos|><|startoftext|>", "<|eos|>")
            .tokens("<|startoftext|>", "<|extra_0|>", "<|extra_4|>", "<|eos|>")
            .build(),
        ChatFormats.qwen("iquestcoder")
            .system("You are LoopCoder, a helpful assistant developed by IQuest.")
            .build());
  }

  private static ChatFormat.Builder format(String name) {
    return new ChatFormat.Builder(name);
  }

  /**
   * With a system prompt there is no begin token, and its end lacks a letter: as in Megatron-SWIFT.
   */
  private static ChatFormat.Builder cohere(String name) {
    return format(name)
        .prefix("<BOS_TOKEN>", COHERE_TURN + "<|SYSTEM_TOKEN|>{{SYSTEM}}<|END_OF_TURN_TOKEN|")
        .prompt(
            COHERE_TURN
                + "<|USER_TOKEN|>{{QUERY}}"
                + COHERE_END
                + COHERE_TURN
                + "<|CHATBOT_TOKEN|>")
        .ends(COHERE_END, COHERE_END)
        .tokens("<BOS_TOKEN>", COHERE_TURN, COHERE_END);
  }
}
