package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * How conversations become text; the fields are the parameters of that name.
 *
 * @param template a built-in template; null for the model's
 * @param backend who renders where {@code template} is null
 * @param useChatTemplate false for plain text, whose answers end with the end token
 * @param agentTemplate a format of tools; null for the template's
 * @param enableThinking whether the model thinks; null for what the template expects
 * @param addNonThinkingPrefix whether answers without thoughts get an empty block of thoughts in
 *     front; null for the template's default, which is true
 * @param responsePrefix what a new answer starts with; null for what the template starts it with
 * @param lastRound whether training looks at the last round alone
 */
public record TemplateOptions(
    @Nullable String template,
    Backend backend,
    boolean useChatTemplate,
    @Nullable String agentTemplate,
    @Nullable Boolean enableThinking,
    @Nullable Boolean addNonThinkingPrefix,
    @Nullable String responsePrefix,
    boolean lastRound) {
  /** Who renders conversations. */
  public enum Backend {
    /** A built-in template where one is named or writes what the tokenizer's own writes. */
    SWIFT,
    /** The tokenizer's own Jinja template. */
    JINJA;

    /** Reads {@code --template_backend}. */
    public static Backend parse(String name) {
      return switch (name) {
        case "swift" -> SWIFT;
        case "jinja" -> JINJA;
        default ->
            throw new UserError("--template_backend " + name + " is not known; use swift or jinja");
      };
    }
  }

  /** The model's template as it is. */
  public static final TemplateOptions DEFAULT =
      new TemplateOptions(null, Backend.SWIFT, true, null, null, null, null, false);

  public TemplateOptions {
    if (backend == Backend.JINJA && template != null) {
      throw new UserError(
          "--template "
              + template
              + " is a built-in template, but --template_backend jinja asks for the tokenizer's own;"
              + " set one of them only");
    }
    if (!useChatTemplate) {
      refuse("--agent_template", agentTemplate);
      refuse("--enable_thinking", enableThinking);
      refuse("--add_non_thinking_prefix", addNonThinkingPrefix);
      refuse("--response_prefix", responsePrefix);
    }
  }

  private static void refuse(String name, @Nullable Object value) {
    if (value != null) {
      throw new UserError(
          name
              + " "
              + value
              + " has no meaning for plain text; leave it out, or set --use_chat_template true");
    }
  }

  /** The same with another template. */
  public TemplateOptions withTemplate(@Nullable String name) {
    return new TemplateOptions(
        name,
        backend,
        useChatTemplate,
        agentTemplate,
        enableThinking,
        addNonThinkingPrefix,
        responsePrefix,
        lastRound);
  }

  /** The same with another format of tools. */
  public TemplateOptions withAgentTemplate(@Nullable String name) {
    return new TemplateOptions(
        template,
        backend,
        useChatTemplate,
        name,
        enableThinking,
        addNonThinkingPrefix,
        responsePrefix,
        lastRound);
  }

  /** The same for plain text or not. */
  public TemplateOptions withChatTemplate(boolean use) {
    return new TemplateOptions(
        template,
        backend,
        use,
        agentTemplate,
        enableThinking,
        addNonThinkingPrefix,
        responsePrefix,
        lastRound);
  }
}
