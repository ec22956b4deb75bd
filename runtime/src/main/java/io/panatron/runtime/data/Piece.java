package io.panatron.runtime.data;

/**
 * A part of a rendered conversation; the parts in order are the whole rendering.
 *
 * @param message index of the message that the part belongs to; for {@code CONTEXT} it has no
 *     meaning and is -1
 */
public record Piece(String text, Kind kind, int message) {
  /** Which side of the loss mask a part stands on. */
  public enum Kind {
    /** What the model reads. */
    CONTEXT,
    /** The content of an assistant message. */
    RESPONSE,
    /** What ends an assistant message, such as {@code <|im_end|>} and a newline. */
    SUFFIX
  }

  static Piece context(String text) {
    return new Piece(text, Kind.CONTEXT, -1);
  }
}
