package io.panatron.runtime.data;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * One row of a data set; pre-training text is a single assistant message.
 *
 * @param channel the group in which its loss is shown; null where no groups are asked for
 */
public record Row(List<Message> messages, @Nullable String channel) {
  public Row(List<Message> messages) {
    this(messages, null);
  }

  public Row {
    messages = List.copyOf(messages);
  }
}
