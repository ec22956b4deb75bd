package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.List;

/**
 * Which parts of a conversation are trained: {@code --loss_scale}.
 *
 * <p>An answer's own {@code loss} decides for its content; what is unset follows the base strategy.
 * The suffix that ends an answer always follows the base strategy. Source: Megatron-SWIFT's {@code
 * loss_scale}.
 */
public enum LossScale {
  /** Every answer. */
  DEFAULT,
  /** The answers after the last user message. */
  LAST_ROUND,
  /** Everything, context included. */
  ALL;

  /** Reads the parameter; refuses the extra strategies by name. */
  public static LossScale parse(String name) {
    return switch (name) {
      case "default" -> DEFAULT;
      case "last_round" -> LAST_ROUND;
      case "all" -> ALL;
      default ->
          throw new UserError(
              "--loss_scale " + name + " is not supported yet; use default, last_round or all");
    };
  }

  /** The loss weight of a part's tokens, 0 for none. */
  float weight(List<Message> messages, Piece piece) {
    if (piece.kind() == Piece.Kind.RESPONSE) {
      Boolean loss = messages.get(piece.message()).loss();
      if (loss != null) {
        return loss ? 1 : 0;
      }
    }
    boolean trained =
        switch (this) {
          case ALL -> true;
          case DEFAULT -> piece.kind() != Piece.Kind.CONTEXT;
          case LAST_ROUND ->
              piece.kind() != Piece.Kind.CONTEXT && piece.message() > lastUser(messages);
        };
    return trained ? 1 : 0;
  }

  private static int lastUser(List<Message> messages) {
    for (int i = messages.size() - 1; i >= 0; i--) {
      if (messages.get(i).role().equals("user")) {
        return i;
      }
    }
    return -1;
  }
}
