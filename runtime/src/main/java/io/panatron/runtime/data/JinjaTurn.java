package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.AgentException;
import io.panatron.runtime.data.agent.ToolCall;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A message as Jinja templates see it: an answer's text and its calls of tools are one.
 *
 * @param message index of the message, the first one's of several
 */
record JinjaTurn(String role, String content, List<ToolCall> calls, int message) {

  /**
   * The turns of a conversation.
   *
   * @throws TemplateException if a call of a tool cannot be read
   */
  static List<JinjaTurn> of(List<Message> messages) {
    List<JinjaTurn> turns = new ArrayList<>(messages.size());
    for (int i = 0; i < messages.size(); i++) {
      Message m = messages.get(i);
      if (!m.role().equals("tool_call")) {
        turns.add(new JinjaTurn(m.role(), m.content(), List.of(), i));
        continue;
      }
      boolean continues = i > 0 && messages.get(i - 1).isAnswer();
      JinjaTurn before =
          continues ? turns.removeLast() : new JinjaTurn("assistant", "", List.of(), i);
      List<ToolCall> calls = new ArrayList<>(before.calls());
      try {
        calls.add(ToolCall.parse(m.content()));
      } catch (AgentException e) {
        throw new TemplateException("has " + e.getMessage(), e);
      }
      turns.add(new JinjaTurn("assistant", before.content(), calls, before.message()));
    }
    return turns;
  }

  boolean isAssistant() {
    return role.equals("assistant");
  }

  /** An answer of the given text, without calls. */
  JinjaTurn withText(String text) {
    return new JinjaTurn("assistant", text, List.of(), message);
  }

  /** The message as transformers passes it to a template. */
  Map<String, @Nullable Object> json() {
    Map<String, @Nullable Object> map = new LinkedHashMap<>();
    map.put("role", role);
    map.put("content", content);
    if (!calls.isEmpty()) {
      map.put("tool_calls", calls.stream().map(JinjaTurn::callJson).toList());
    }
    return map;
  }

  private static Map<String, Object> callJson(ToolCall call) {
    Map<String, Object> function = new LinkedHashMap<>();
    function.put("name", call.name());
    function.put("arguments", call.arguments());
    Map<String, Object> map = new LinkedHashMap<>();
    map.put("type", "function");
    map.put("function", function);
    return map;
  }
}
