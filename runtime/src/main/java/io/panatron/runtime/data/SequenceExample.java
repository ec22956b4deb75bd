package io.panatron.runtime.data;

import java.util.List;

/**
 * The sequences of a row and what is known of each.
 *
 * @param conversations each becomes a sequence; the last message need not be an answer
 * @param tags of each conversation
 */
public record SequenceExample(List<List<Message>> conversations, List<SequenceTag> tags) {
  public SequenceExample {
    conversations = conversations.stream().map(List::copyOf).toList();
    tags = List.copyOf(tags);
  }
}
