package io.panatron.runtime.data;

import java.time.ZonedDateTime;
import java.time.format.DateTimeFormatter;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * How a family of models writes conversations, as data.
 *
 * <p>A rendering is the prefix, then for each round the prompt and the answer, with the separator
 * between rounds and the suffix at the end. {@code {{SYSTEM}}} and {@code {{QUERY}}} stand for the
 * system prompt and the user's text; {@code {{BOS}}}, {@code {{EOS}}} for the tokenizer's begin and
 * end token, {@code {{DAY}}} for the day as in "26 Jul 2024" and {@code {{DATE}}} as in 2024-07-26,
 * which {@link #resolved} puts in.
 *
 * <p>Source: Megatron-SWIFT's {@code TemplateMeta}.
 *
 * @param prefix before the first round where there is no system prompt
 * @param systemPrefix before the first round where there is one; null if the format has no place
 *     for it there
 * @param lateSystem how the system prompt stands before the last user's text; null for {@code
 *     systemPrefix}
 * @param prompt the user's text up to where the answer starts
 * @param separator between an answer and the next user's text; null if the format has one round
 * @param suffix ends the last answer, and every answer whose separator starts with it
 * @param defaultSystem the system prompt where none is given
 * @param begins whether a begin token precedes all, where the tokenizer asks for one
 * @param specialTokens what the vocabulary must hold
 * @param stopWords what ends an answer besides the suffix and the end token
 * @param agent the format of tools where {@code --agent_template} names none
 */
record ChatFormat(
    String name,
    String prefix,
    @Nullable String systemPrefix,
    @Nullable String lateSystem,
    String prompt,
    @Nullable String separator,
    String suffix,
    @Nullable String defaultSystem,
    boolean begins,
    List<String> specialTokens,
    List<String> stopWords,
    String agent,
    Thoughts thoughts) {
  static final String SYSTEM = "{{SYSTEM}}";
  static final String QUERY = "{{QUERY}}";
  private static final String DAY = "{{DAY}}";
  private static final String DATE = "{{DATE}}";

  /**
   * What answers of a model that thinks start with.
   *
   * @param expected whether the model thinks unless told otherwise
   * @param opening put after the prompt when the model shall think
   * @param empty put there when it shall not, and before answers without thoughts
   */
  record Thoughts(boolean expected, String opening, String empty) {
    static final Thoughts NONE = new Thoughts(false, "", "");
  }

  ChatFormat {
    specialTokens = List.copyOf(specialTokens);
    stopWords = List.copyOf(stopWords);
    if (!prompt.contains(QUERY)) {
      throw new IllegalArgumentException(name + " has no place for the user's text");
    }
  }

  boolean takesSystem() {
    return systemPrefix != null || lateSystem != null;
  }

  /** Whether the format names a token that only the tokenizer knows. */
  boolean uses(String gap) {
    return (prefix + systemPrefix + prompt + separator + suffix).contains(gap);
  }

  /** Whether the format has gaps for a date. */
  boolean isDated() {
    String all = toString();
    return all.contains(DAY) || all.contains(DATE);
  }

  /** The format with the tokens of a tokenizer and a date. */
  ChatFormat resolved(String bos, String eos, ZonedDateTime now) {
    Gaps gaps = new Gaps(bos, eos, now);
    List<String> stops = new ArrayList<>(stopWords);
    stops.add(suffix.strip());
    stops.add("{{EOS}}");
    return new ChatFormat(
        name,
        gaps.fill(prefix),
        systemPrefix == null ? null : gaps.fill(systemPrefix),
        lateSystem,
        gaps.fill(prompt),
        separator == null ? null : gaps.fill(separator),
        gaps.fill(suffix),
        defaultSystem == null ? null : gaps.fill(defaultSystem),
        begins,
        specialTokens,
        stops.stream().map(gaps::fill).filter(text -> !text.isEmpty()).distinct().toList(),
        agent,
        thoughts);
  }

  private record Gaps(String bos, String eos, ZonedDateTime now) {
    String fill(String text) {
      return text.contains("{{")
          ? text.replace("{{BOS}}", bos)
              .replace("{{EOS}}", eos)
              .replace(DAY, day("dd MMM yyyy"))
              .replace(DATE, day("yyyy-MM-dd"))
          : text;
    }

    private String day(String pattern) {
      return DateTimeFormatter.ofPattern(pattern, Locale.ENGLISH).format(now);
    }
  }

  /** Collects the pieces of a format; what is not set is absent. */
  static final class Builder {
    private final String name;
    private String prefix = "";
    private @Nullable String systemPrefix;
    private @Nullable String lateSystem;
    private String prompt = QUERY;
    private @Nullable String separator;
    private String suffix = "{{EOS}}";
    private @Nullable String defaultSystem;
    private boolean begins;
    private List<String> specialTokens = List.of();
    private List<String> stopWords = List.of();
    private String agent = "react_en";
    private Thoughts thoughts = Thoughts.NONE;

    Builder(String name) {
      this.name = name;
    }

    Builder prefix(String without, @Nullable String withSystem) {
      prefix = without;
      systemPrefix = withSystem;
      return this;
    }

    Builder lateSystem(String text) {
      lateSystem = text;
      return this;
    }

    Builder prompt(String text) {
      prompt = text;
      return this;
    }

    /** What follows an answer within a conversation, and at its end. */
    Builder ends(String between, String atEnd) {
      separator = between;
      suffix = atEnd;
      return this;
    }

    Builder system(String text) {
      defaultSystem = text;
      return this;
    }

    Builder begins() {
      begins = true;
      return this;
    }

    Builder tokens(String... texts) {
      specialTokens = List.of(texts);
      return this;
    }

    Builder stops(String... texts) {
      stopWords = List.of(texts);
      return this;
    }

    Builder agent(String format) {
      agent = format;
      return this;
    }

    Builder thinks(String opening, String empty) {
      thoughts = new Thoughts(true, opening, empty);
      return this;
    }

    ChatFormat build() {
      return new ChatFormat(
          name,
          prefix,
          systemPrefix,
          lateSystem,
          prompt,
          separator,
          suffix,
          defaultSystem,
          begins,
          specialTokens,
          stopWords,
          agent,
          thoughts);
    }
  }
}
