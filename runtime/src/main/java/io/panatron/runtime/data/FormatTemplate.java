package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.ChatTurns.Part;
import io.panatron.runtime.data.ChatTurns.Round;
import io.panatron.runtime.data.agent.AgentException;
import io.panatron.runtime.data.agent.AgentFormat;
import io.panatron.runtime.data.agent.AgentFormats;
import io.panatron.runtime.data.agent.Tool;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * A built-in chat template: a {@link ChatFormat} with a format of tools and a way with thoughts.
 *
 * <p>Source: Megatron-SWIFT's {@code Template._swift_encode}.
 */
final class FormatTemplate implements ChatTemplate {
  private final ChatFormat format;
  private final AgentFormat agent;
  private final ThoughtRules thoughts;
  private final String begin;
  private final String promptStart;
  private final String promptEnd;
  private final String separator;
  private final List<String> stops;

  /**
   * Makes a template.
   *
   * @param format with the tokenizer's tokens put in
   * @param begin the begin token, where one is due that the format does not write
   */
  FormatTemplate(ChatFormat format, AgentFormat agent, ThoughtRules thoughts, String begin) {
    this.format = format;
    this.agent = agent;
    this.thoughts = thoughts;
    this.begin = begin;
    int at = format.prompt().indexOf(ChatFormat.QUERY);
    promptStart = format.prompt().substring(0, at);
    promptEnd = format.prompt().substring(at + ChatFormat.QUERY.length());
    separator = format.separator() == null ? "" : format.separator();
    stops = format.stopWords();
  }

  /**
   * A format as the options ask for it.
   *
   * @throws UserError if they name an unknown format of tools
   */
  static FormatTemplate of(ChatFormat format, TemplateOptions options, String begin) {
    String named = options.agentTemplate();
    AgentFormat agent = AgentFormats.named(named == null ? format.agent() : named);
    if (agent == null) {
      throw new UserError(
          "--agent_template %s is not supported; use one of %s"
              .formatted(named, String.join(", ", AgentFormats.names())));
    }
    return new FormatTemplate(format, agent, ThoughtRules.of(format.thoughts(), options), begin);
  }

  @Override
  public boolean isDated() {
    ChatFormat unfilled = ChatFormats.named(format.name());
    return unfilled != null && unfilled.isDated();
  }

  @Override
  public String identity() {
    return "format 1 " + format + " " + agent + " " + thoughts + " " + begin;
  }

  @Override
  public String description() {
    return format.name() + " (built in)";
  }

  @Override
  public String answerStart() {
    return thoughts.answerStart();
  }

  @Override
  public List<String> endTexts() {
    return stops;
  }

  @Override
  public List<Piece> render(List<Message> messages, List<Tool> tools) {
    return pieces(messages, tools, true);
  }

  @Override
  public String renderPrompt(List<Message> messages, List<Tool> tools) {
    StringBuilder text = new StringBuilder();
    pieces(messages, tools, false).forEach(piece -> text.append(piece.text()));
    return text.toString();
  }

  private List<Piece> pieces(List<Message> messages, List<Tool> tools, boolean training) {
    List<Round> rounds = new ArrayList<>(ChatTurns.of(messages, agent, this::userTurn));
    if (rounds.isEmpty()) {
      throw new TemplateException("has no message besides the system prompt");
    }
    thoughts.apply(rounds, training);
    String system = system(messages);
    if (!tools.isEmpty()) {
      AgentFormat.Briefing briefing = brief(tools, system, rounds.getFirst().asked());
      system = briefing.system();
      rounds.set(0, rounds.getFirst().withAsked(briefing.question()));
    }
    if (system != null && !system.isEmpty() && !format.takesSystem()) {
      throw new TemplateException(
          "has a system prompt, for which --template " + format.name() + " has no place");
    }
    Writer out = new Writer();
    out.context(begin);
    out.context(prefix(system));
    // A format of one round trains the last, as Megatron-SWIFT does.
    int first = format.separator() == null ? rounds.size() - 1 : 0;
    int lastQuestion = ChatTurns.lastQuestion(rounds);
    for (int i = first; i < rounds.size(); i++) {
      out.question(rounds.get(i), i == lastQuestion ? lateSystem(system) : "");
      out.answer(rounds.get(i), i + 1 < rounds.size() ? rounds.get(i + 1) : null, training);
    }
    return out.end();
  }

  private @Nullable String system(List<Message> messages) {
    boolean given = messages.getFirst().role().equals("system");
    return given ? messages.getFirst().content() : format.defaultSystem();
  }

  private AgentFormat.Briefing brief(List<Tool> tools, @Nullable String system, String question) {
    try {
      return agent.brief(tools, system, question);
    } catch (AgentException e) {
      throw new TemplateException("has " + e.getMessage(), e);
    }
  }

  private String prefix(@Nullable String system) {
    String form = format.systemPrefix();
    return system == null || system.isEmpty() || form == null
        ? format.prefix()
        : form.replace(ChatFormat.SYSTEM, system);
  }

  private String lateSystem(@Nullable String system) {
    String form = format.lateSystem();
    return system == null || system.isEmpty() || form == null
        ? ""
        : form.replace(ChatFormat.SYSTEM, system);
  }

  private String userTurn(String text) {
    return separator + promptStart + text + promptEnd;
  }

  /** Collects the pieces; neighbouring context becomes one. */
  private final class Writer {
    private final List<Piece> pieces = new ArrayList<>();
    private final StringBuilder context = new StringBuilder();

    void context(String text) {
      context.append(text);
    }

    void question(Round round, String lateSystem) {
      if (round.told()) {
        return; // written behind the answer before
      }
      context(promptStart);
      context(lateSystem);
      context(round.asked());
      context(promptEnd);
    }

    void answer(Round round, @Nullable Round next, boolean training) {
      if (round.answer().isEmpty()) {
        context(thoughts.answerStart());
        return;
      }
      flush();
      for (Part part : round.answer()) {
        pieces.add(new Piece(part.text(), Piece.Kind.RESPONSE, part.message()));
      }
      int message = round.answer().getLast().message();
      if (next != null) {
        between(next.told() ? next.asked() : separator, message);
      } else if (training && stops.stream().noneMatch(round.answerText()::endsWith)) {
        pieces.add(new Piece(format.suffix(), Piece.Kind.SUFFIX, message));
      }
    }

    /** What follows an answer inside a conversation; it may start by ending the answer. */
    private void between(String text, int message) {
      String suffix = format.suffix();
      if (!suffix.isEmpty() && text.startsWith(suffix)) {
        pieces.add(new Piece(suffix, Piece.Kind.SUFFIX, message));
        context(text.substring(suffix.length()));
      } else {
        context(text);
      }
    }

    private void flush() {
      if (!context.isEmpty()) {
        pieces.add(Piece.context(context.toString()));
        context.setLength(0);
      }
    }

    List<Piece> end() {
      flush();
      return pieces;
    }
  }
}
