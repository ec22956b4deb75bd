package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.jinja.JinjaException;
import io.panatron.runtime.data.jinja.JinjaTemplate;
import java.time.ZonedDateTime;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Chooses the chat template that {@code --template} and {@code --use_chat_template} ask for. */
public final class ChatTemplates {
  private ChatTemplates() {}

  /**
   * The template of a run.
   *
   * @param name {@code --template}; null means the tokenizer's own
   * @param useChatTemplate false for plain text, whose answers end with the end token
   * @param now what a template sees as the current time
   * @throws UserError if there is no such template or the tokenizer's own cannot be read
   */
  public static ChatTemplate choose(
      @Nullable String name, boolean useChatTemplate, HfTokenizer tokenizer, ZonedDateTime now) {
    if (!useChatTemplate) {
      return new PlainTemplate(endToken(tokenizer));
    }
    if (name == null) {
      return ofTokenizer(tokenizer, now);
    }
    if (name.equals("chatml")) {
      requireChatMlTokens(tokenizer);
      return new ChatMlTemplate();
    }
    throw new UserError(
        "--template "
            + name
            + " is not known; say --template chatml, or leave it out to use the chat template of the"
            + " tokenizer");
  }

  private static ChatTemplate ofTokenizer(HfTokenizer tokenizer, ZonedDateTime now) {
    String source = tokenizer.chatTemplate();
    if (source == null) {
      throw new UserError(
          "the tokenizer in "
              + tokenizer.folder()
              + " has no chat template (chat_template.jinja, or chat_template in"
              + " tokenizer_config.json); say --template chatml, or --use_chat_template false");
    }
    try {
      Map<String, Object> variables = new HashMap<>(tokenizer.specialTokens());
      return new JinjaChatTemplate(JinjaTemplate.parse(source, now), variables);
    } catch (JinjaException e) {
      throw new UserError(
          "the chat template of the tokenizer in "
              + tokenizer.folder()
              + " cannot be read ("
              + e.getMessage()
              + "); mend it, or say --template chatml",
          e);
    }
  }

  private static void requireChatMlTokens(HfTokenizer tokenizer) {
    for (String token : new String[] {"<|im_start|>", "<|im_end|>"}) {
      if (tokenizer.idOf(token).isEmpty()) {
        throw new UserError(
            "--template chatml needs the special token "
                + token
                + ", which the tokenizer in "
                + tokenizer.folder()
                + " lacks; add it to the tokenizer, or leave --template out to use its own template");
      }
    }
  }

  static String endToken(HfTokenizer tokenizer) {
    String end = tokenizer.specialTokens().get("eos_token");
    if (end == null || tokenizer.eosId().isEmpty()) {
      throw new UserError(
          "the tokenizer in "
              + tokenizer.folder()
              + " names no end token that its vocabulary holds; set eos_token in"
              + " tokenizer_config.json");
    }
    int[] ids = tokenizer.encode(end);
    if (ids.length != 1 || ids[0] != tokenizer.eosId().getAsInt()) {
      throw new UserError(
          "the end token "
              + end
              + " of the tokenizer in "
              + tokenizer.folder()
              + " is not recognised in text; list it under added_tokens in tokenizer.json");
    }
    return end;
  }
}
