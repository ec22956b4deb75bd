package io.panatron.runtime.data;

import io.panatron.runtime.data.agent.Tool;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One row of a data set; pre-training text is a single assistant message.
 *
 * @param tools what the model may call; almost always none
 * @param channel the group in which its loss is shown; null where no groups are asked for
 * @param example its sequences and their labels; null where the loss is that of tokens
 */
public record Row(
    List<Message> messages,
    List<Tool> tools,
    @Nullable String channel,
    @Nullable SequenceExample example) {
  public Row {
    messages = List.copyOf(messages);
    tools = List.copyOf(tools);
  }

  /** A row whose loss is that of tokens. */
  public Row(List<Message> messages, List<Tool> tools, @Nullable String channel) {
    this(messages, tools, channel, null);
  }

  /** A row without a channel. */
  public Row(List<Message> messages, List<Tool> tools) {
    this(messages, tools, null);
  }

  /** A row without tools and channel. */
  public Row(List<Message> messages) {
    this(messages, List.of(), null);
  }
}
