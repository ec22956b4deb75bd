package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import io.panatron.runtime.data.jinja.JinjaException;
import io.panatron.runtime.data.jinja.JinjaTemplate;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The tokenizer's own Jinja chat template.
 *
 * <p>A Jinja template gives one text without saying where answers stand. An answer starts after the
 * generation prompt (what {@code add_generation_prompt} appends, such as {@code
 * <|im_start|>assistant\n}), so that the model is trained from where it will later generate, and
 * ends with the suffix that the template writes after the last message. Both are found by rendering
 * prefixes of the conversation. Templates that write earlier turns differently from the last one
 * (Qwen3 drops their reasoning) break that; there the content is replaced by a marker and the
 * renderings are compared. What cannot be located soundly is an error, never a guess.
 */
public final class JinjaChatTemplate implements ChatTemplate {
  private final JinjaTemplate template;
  private final Map<String, Object> variables;

  /**
   * Wraps a template.
   *
   * @param variables what every rendering sees besides the messages: {@code bos_token} and so on
   */
  public JinjaChatTemplate(JinjaTemplate template, Map<String, Object> variables) {
    this.template = template;
    this.variables = Map.copyOf(variables);
  }

  @Override
  public boolean isDated() {
    return template.isDated();
  }

  @Override
  public String identity() {
    return "jinja 2 " + template.identity() + new TreeMap<>(variables);
  }

  @Override
  public String description() {
    return "the tokenizer's chat template";
  }

  @Override
  public String renderPrompt(List<Message> messages, List<Tool> tools) {
    return new Rendering(tools).text(JinjaTurn.of(messages), true);
  }

  @Override
  public List<Piece> render(List<Message> messages, List<Tool> tools) {
    return new Rendering(tools).pieces(JinjaTurn.of(messages));
  }

  /** Where an answer's content stands in the whole rendering; its suffix follows. */
  private record Span(int start, int contentEnd) {}

  /** One conversation's rendering, with the tools that it names. */
  private final class Rendering {
    private final List<Tool> tools;

    Rendering(List<Tool> tools) {
      this.tools = tools;
    }

    List<Piece> pieces(List<JinjaTurn> turns) {
      String whole = text(turns, false);
      String marker = marker(turns);
      List<Piece> pieces = new ArrayList<>();
      int done = 0;
      for (int i = 0; i < turns.size(); i++) {
        JinjaTurn turn = turns.get(i);
        if (!turn.isAssistant()) {
          continue;
        }
        String suffix = suffix(turns, i, marker);
        Span span = byPrefixes(turns, i, whole, suffix);
        if (span == null || span.start() < done) {
          span = byMarker(turns, i, whole, marker, suffix, done);
        }
        if (span.start() > done) {
          pieces.add(Piece.context(whole.substring(done, span.start())));
        }
        pieces.add(
            new Piece(
                whole.substring(span.start(), span.contentEnd()),
                Piece.Kind.RESPONSE,
                turn.message()));
        if (!suffix.isEmpty()) {
          pieces.add(new Piece(suffix, Piece.Kind.SUFFIX, turn.message()));
        }
        done = span.contentEnd() + suffix.length();
      }
      if (done < whole.length()) {
        pieces.add(Piece.context(whole.substring(done)));
      }
      return pieces;
    }

    /** Null when the whole rendering does not continue the renderings of the prefixes. */
    private @Nullable Span byPrefixes(List<JinjaTurn> turns, int i, String whole, String suffix) {
      List<JinjaTurn> before = turns.subList(0, i);
      if (before.isEmpty()) {
        return null; // most templates look at the first message and fail on none
      }
      String prompt = text(before, true);
      if (!whole.startsWith(prompt) || prompt.equals(text(before, false))) {
        return null;
      }
      String answered = i == turns.size() - 1 ? whole : text(turns.subList(0, i + 1), false);
      int contentEnd = answered.length() - suffix.length();
      return whole.startsWith(answered)
              && answered.endsWith(suffix)
              && contentEnd >= prompt.length()
          ? new Span(prompt.length(), contentEnd)
          : null;
    }

    private Span byMarker(
        List<JinjaTurn> turns, int i, String whole, String marker, String suffix, int done) {
      String[] around = aroundMarker(replaced(turns, i, marker), marker, i);
      int contentEnd = whole.length() - around[1].length();
      int common = commonPrefix(around[0], whole);
      if (contentEnd < 0 || !whole.endsWith(around[1]) || !whole.startsWith(suffix, contentEnd)) {
        throw lost(turns.get(i), "what follows the answer depends on the answer");
      }
      List<JinjaTurn> upTo = turns.subList(0, i + 1);
      String closed = text(upTo, false);
      String inviting = text(upTo, true);
      String invitation = inviting.startsWith(closed) ? inviting.substring(closed.length()) : "";
      int start;
      if (invitation.isEmpty()) {
        start = common == around[0].length() ? common : -1;
      } else {
        int at = whole.lastIndexOf(invitation, common - invitation.length());
        start = at < 0 ? -1 : at + invitation.length();
      }
      if (start < done || start > contentEnd) {
        throw lost(turns.get(i), "what precedes the answer depends on the answer");
      }
      return new Span(start, contentEnd);
    }

    /** What the template writes after the content of message {@code i} when it is the last one. */
    private String suffix(List<JinjaTurn> turns, int i, String marker) {
      return aroundMarker(replaced(turns.subList(0, i + 1), i, marker), marker, i)[1];
    }

    private String[] aroundMarker(List<JinjaTurn> marked, String marker, int i) {
      String text = text(marked, false);
      int at = text.indexOf(marker);
      if (at < 0 || text.indexOf(marker, at + 1) >= 0) {
        throw lost(marked.get(i), "the template does not write the answer exactly once");
      }
      return new String[] {text.substring(0, at), text.substring(at + marker.length())};
    }

    private static List<JinjaTurn> replaced(List<JinjaTurn> turns, int i, String content) {
      List<JinjaTurn> marked = new ArrayList<>(turns);
      marked.set(i, turns.get(i).withText(content));
      return marked;
    }

    private static String marker(List<JinjaTurn> turns) {
      String marker = "answer-marker";
      while (contains(turns, marker)) {
        marker += "-x";
      }
      return marker;
    }

    private static boolean contains(List<JinjaTurn> turns, String marker) {
      return turns.stream().anyMatch(m -> m.content().contains(marker));
    }

    private static int commonPrefix(String a, String b) {
      int n = Math.min(a.length(), b.length());
      int i = 0;
      while (i < n && a.charAt(i) == b.charAt(i)) {
        i++;
      }
      return i;
    }

    private static TemplateException lost(JinjaTurn turn, String why) {
      return new TemplateException(
          "has an answer, message "
              + (turn.message() + 1)
              + ", whose place in the rendering is unclear: "
              + why
              + "; name a built-in --template");
    }

    private String text(List<JinjaTurn> turns, boolean generationPrompt) {
      Map<String, @Nullable Object> all = new HashMap<>(variables);
      all.put("messages", turns.stream().map(JinjaTurn::json).toList());
      all.put("add_generation_prompt", generationPrompt);
      all.put("tools", tools.isEmpty() ? null : tools.stream().map(Tool::json).toList());
      all.put("documents", null);
      try {
        return template.render(all);
      } catch (JinjaException e) {
        throw new TemplateException(
            "cannot be rendered by the chat template: " + e.getMessage(), e);
      }
    }
  }
}
