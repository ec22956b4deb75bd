package io.panatron.cli;

import io.panatron.runtime.data.TemplateOptions;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** How a conversation becomes the text that the model reads. */
final class TemplateChoice {
  @Option(
      names = "--template",
      paramLabel = "NAME",
      description =
          "Chat template, such as llama3 or qwen3 (docs/templates.md); default: the model's.")
  private @Nullable String template;

  @Option(
      names = "--template_backend",
      defaultValue = "swift",
      paramLabel = "NAME",
      description = "jinja takes the tokenizer's own template as it is; default: swift.")
  private String backend = "swift";

  @Option(
      names = "--use_chat_template",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "true",
      paramLabel = "BOOL",
      description = "false continues the prompt as plain text; default: true.")
  private boolean useChatTemplate = true;

  @Option(
      names = "--agent_template",
      paramLabel = "NAME",
      description = "Format of tools, such as hermes or react_en; default: the template's.")
  private @Nullable String agentTemplate;

  @Option(
      names = "--enable_thinking",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "BOOL",
      description = "Whether the model thinks before it answers; default: the template's.")
  private @Nullable Boolean enableThinking;

  @Option(
      names = "--response_prefix",
      paramLabel = "TEXT",
      description = "What the answer starts with; \\n is a line end; default: the template's.")
  private @Nullable String responsePrefix;

  TemplateOptions options() {
    return new TemplateOptions(
        template,
        TemplateOptions.Backend.parse(backend),
        useChatTemplate,
        agentTemplate,
        enableThinking,
        null,
        responsePrefix == null ? null : responsePrefix.replace("\\n", "\n"),
        false);
  }
}
