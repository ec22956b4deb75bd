package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import java.util.List;

/**
 * One row of a data set; pre-training text is a single assistant message.
 *
 * @param tools what the model may call; almost always none
 */
public record Row(List<Message> messages, List<Tool> tools) {
  public Row {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
  }

  /** A row without tools. */
  public Row(List<Message> messages) {
    this(messages, List.of());
  }
}
