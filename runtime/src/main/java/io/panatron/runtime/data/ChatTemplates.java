package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.jinja.JinjaException;
import io.panatron.runtime.data.jinja.JinjaTemplate;
import java.time.ZonedDateTime;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import org.jspecify.annotations.Nullable;

/** Chooses the chat template of a run. */
public final class ChatTemplates {
  /** Conversations in which formats differ where they differ at all. */
  private static final List<List<Message>> PROBES =
      List.of(
          List.of(new Message("user", "Q")),
          List.of(new Message("system", "S"), new Message("user", "Q")),
          List.of(
              new Message("user", "Q1"), new Message("assistant", "A1"), new Message("user", "Q2")),
          List.of(
              new Message("system", "S"),
              new Message("user", "Q1"),
              new Message("assistant", "<think>\nT\n</think>\n\nA1"),
              new Message("user", "Q2")));

  private final TemplateOptions options;
  private final HfTokenizer tokenizer;
  private final ZonedDateTime now;

  private ChatTemplates(TemplateOptions options, HfTokenizer tokenizer, ZonedDateTime now) {
    this.options = options;
    this.tokenizer = tokenizer;
    this.now = now;
  }

  /** The names that {@code --template} takes. */
  public static List<String> names() {
    return ChatFormats.all().stream().map(ChatFormat::name).toList();
  }

  /**
   * The template that the options ask for. Where they name none it is the built-in template of the
   * model's type that writes prompts as the tokenizer's own template does, else that one.
   *
   * @param modelType {@code model_type} of config.json
   * @param now what a template sees as the current time
   * @throws UserError if there is no such template, the tokenizer does not fit it, or the
   *     tokenizer's own cannot be read
   */
  public static ChatTemplate choose(
      TemplateOptions options, HfTokenizer tokenizer, String modelType, ZonedDateTime now) {
    return new ChatTemplates(options, tokenizer, now).choose(modelType);
  }

  private ChatTemplate choose(String modelType) {
    if (!options.useChatTemplate()) {
      return new PlainTemplate(endToken(tokenizer));
    }
    String name = options.template();
    if (name != null) {
      ChatFormat format = ChatFormats.named(name);
      if (format == null) {
        throw new UserError(
            "--template %s is not known; use one of %s, or leave it out to take the model's own"
                .formatted(name, String.join(", ", names())));
      }
      requireTokens(format);
      return builtIn(format, options);
    }
    String source = tokenizer.chatTemplate();
    if (source == null) {
      throw new UserError(
          ("the tokenizer in %s has no chat template (chat_template.jinja, or chat_template in"
                  + " tokenizer_config.json); say which one the model uses, such as --template %s,"
                  + " or --use_chat_template false")
              .formatted(tokenizer.folder(), suggestions(modelType)));
    }
    return options.backend() == TemplateOptions.Backend.JINJA
        ? jinja(source)
        : ofModel(source, modelType);
  }

  private String suggestions(String modelType) {
    String fitting =
        ChatFormats.ofModelType(modelType).stream()
            .filter(name -> fits(Objects.requireNonNull(ChatFormats.named(name))))
            .limit(3)
            .collect(Collectors.joining(" or "));
    return fitting.isEmpty() ? "default" : fitting;
  }

  private ChatTemplate ofModel(String source, String modelType) {
    JinjaTemplate own = parsed(source);
    for (String name : ChatFormats.ofModelType(modelType)) {
      ChatFormat format = Objects.requireNonNull(ChatFormats.named(name));
      if (fits(format) && writesAs(format, own)) {
        return builtIn(format, options);
      }
    }
    return jinja(own);
  }

  /** Whether a format and a tokenizer's template write the same prompts, thinking or not. */
  private boolean writesAs(ChatFormat format, JinjaTemplate own) {
    return PROBES.stream().allMatch(probe -> writesAs(format, own, null, probe))
        && writesAs(format, own, true, PROBES.getFirst())
        && writesAs(format, own, false, PROBES.getFirst());
  }

  private boolean writesAs(
      ChatFormat format, JinjaTemplate own, @Nullable Boolean thinking, List<Message> probe) {
    TemplateOptions plain =
        new TemplateOptions(
            null, TemplateOptions.Backend.SWIFT, true, null, thinking, null, null, false);
    ChatTemplate theirs = new JinjaChatTemplate(own, variables(thinking));
    try {
      return builtIn(format, plain).renderPrompt(probe).equals(theirs.renderPrompt(probe));
    } catch (TemplateException e) {
      return false; // one of the two refuses what the other may write
    }
  }

  private ChatTemplate builtIn(ChatFormat format, TemplateOptions asked) {
    ChatFormat resolved =
        format.resolved(
            format.uses("{{BOS}}") ? beginToken(format) : "",
            format.uses("{{EOS}}")
                ? endToken(tokenizer)
                : tokenizer.specialTokens().getOrDefault("eos_token", ""),
            now);
    FormatTemplate template =
        FormatTemplate.of(resolved, asked, format.begins() ? tokenizer.beginText() : "");
    return format.name().equals(ChatFormats.RERANKER) ? new RerankerTemplate(template) : template;
  }

  private String beginToken(ChatFormat format) {
    String begin = tokenizer.specialTokens().get("bos_token");
    if (begin == null) {
      throw new UserError(
          ("--template %s starts with the begin token, which the tokenizer in %s does not name; set"
                  + " bos_token in tokenizer_config.json")
              .formatted(format.name(), tokenizer.folder()));
    }
    return begin;
  }

  private ChatTemplate jinja(String source) {
    return jinja(parsed(source));
  }

  private ChatTemplate jinja(JinjaTemplate own) {
    refuseForJinja("--agent_template", options.agentTemplate());
    refuseForJinja("--add_non_thinking_prefix", options.addNonThinkingPrefix());
    refuseForJinja("--response_prefix", options.responsePrefix());
    return new JinjaChatTemplate(own, variables(options.enableThinking()));
  }

  private static void refuseForJinja(String name, @Nullable Object value) {
    if (value != null) {
      throw new UserError(
          name
              + " "
              + value
              + " has no effect on the tokenizer's own chat template, which is used here; leave it"
              + " out, or name a built-in --template");
    }
  }

  private Map<String, Object> variables(@Nullable Boolean thinking) {
    Map<String, Object> variables = new HashMap<>(tokenizer.specialTokens());
    if (thinking != null) {
      variables.put("enable_thinking", thinking);
    }
    return variables;
  }

  private JinjaTemplate parsed(String source) {
    try {
      return JinjaTemplate.parse(source, now);
    } catch (JinjaException e) {
      throw new UserError(
          "the chat template of the tokenizer in "
              + tokenizer.folder()
              + " cannot be read ("
              + e.getMessage()
              + "); mend it, or name a built-in one such as --template chatml",
          e);
    }
  }

  private void requireTokens(ChatFormat format) {
    String token = lacking(format);
    if (token != null) {
      throw new UserError(
          "--template "
              + format.name()
              + " needs the special token "
              + token
              + ", which the tokenizer in "
              + tokenizer.folder()
              + " lacks; add it to the tokenizer, or leave --template out to use the model's own"
              + " template");
    }
  }

  /** Whether the tokenizer has all tokens of a format. */
  private boolean fits(ChatFormat format) {
    return lacking(format) == null
        && !(format.uses("{{BOS}}") && tokenizer.bosId().isEmpty())
        && !(format.uses("{{EOS}}") && tokenizer.eosId().isEmpty());
  }

  /** The first special token of a format that the vocabulary lacks; null if it has all. */
  private @Nullable String lacking(ChatFormat format) {
    return format.specialTokens().stream()
        .filter(token -> tokenizer.idOf(token).isEmpty())
        .findFirst()
        .orElse(null);
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
