package io.panatron.runtime.data.source;

/** A row that cannot be used; the message completes "file:line ...". */
public final class BadRow extends Exception {
  private static final long serialVersionUID = 1L;

  /** Why a row is left out, by which a run counts such rows. */
  public enum Kind {
    /** The row is not well-formed in the format of its file. */
    SYNTAX("malformed"),
    /** The columns do not make a text or a conversation. */
    COLUMNS("without the columns of a sample"),
    /** A message or text in it cannot be used. */
    CONTENT("with a message that cannot be used"),
    /** The chat template refuses the conversation. */
    TEMPLATE("refused by the chat template"),
    /** It has more tokens than a sample may have. */
    LENGTH("longer than --max_length");

    private final String description;

    Kind(String description) {
      this.description = description;
    }

    /** What is said of such rows, as in "3 rows malformed". */
    public String description() {
      return description;
    }
  }

  private final Kind kind;

  public BadRow(Kind kind, String message) {
    super(message);
    this.kind = kind;
  }

  public Kind kind() {
    return kind;
  }

  /** The message, which is never missing. */
  public String reason() {
    return String.valueOf(getMessage());
  }
}
