package io.panatron.runtime.data;

import java.util.List;

/** One row of a data set; pre-training text is a single assistant message. */
public record Row(List<Message> messages) {
  public Row {
    messages = List.copyOf(messages);
  }
}
