package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * Which parts of a conversation are trained, and with which weight: {@code --loss_scale}.
 *
 * <p>An answer's own {@code loss} decides whether its content is trained; where it is unset the
 * base does. What is trained weighs as much as the answer's own {@code loss_scale} says, else what
 * the weightings make of it one after the other (their weights multiply), else 1. The suffix that
 * ends an answer has no word of its own. Source: Megatron-SWIFT's {@code loss_scale}.
 *
 * @param weightings applied in this order
 */
public record LossScale(Base base, List<LossWeighting> weightings) {
  /** Which parts are trained at all. */
  public enum Base {
    /** Every answer. */
    DEFAULT,
    /** The answers after the last user message. */
    LAST_ROUND,
    /** Everything, context included. */
    ALL
  }

  /** Every answer with weight 1. */
  public static final LossScale DEFAULT = new LossScale(Base.DEFAULT, List.of());

  /** Everything with weight 1. */
  public static final LossScale ALL = new LossScale(Base.ALL, List.of());

  public LossScale {
    weightings = List.copyOf(weightings);
  }

  /**
   * Reads the parameter: a base, weightings, or both, joined by plus signs; without a base it is
   * {@code default}.
   */
  public static LossScale parse(String text) {
    List<String> names = new ArrayList<>(Arrays.asList(text.split("\\+", -1)));
    Base base = named(Base.values(), names.getFirst());
    if (base != null) {
      names.removeFirst();
    }
    Set<LossWeighting> weightings = EnumSet.noneOf(LossWeighting.class);
    List<LossWeighting> ordered = new ArrayList<>();
    for (String name : names) {
      LossWeighting weighting = named(LossWeighting.values(), name);
      if (weighting == null) {
        throw new UserError(
            "--loss_scale %s does not name a way to weigh losses with '%s'; write one of %s, one or more of %s, or such as last_round+react"
                .formatted(text, name, choices(Base.values()), choices(LossWeighting.values())));
      }
      if (!weightings.add(weighting)) {
        throw new UserError(
            "--loss_scale %s names %s twice, whose weights would multiply; name it once"
                .formatted(text, name));
      }
      ordered.add(weighting);
    }
    return new LossScale(base == null ? Base.DEFAULT : base, ordered);
  }

  private static <E extends Enum<E>> @Nullable E named(E[] values, String name) {
    return Arrays.stream(values).filter(v -> nameOf(v).equals(name)).findFirst().orElse(null);
  }

  private static String nameOf(Enum<?> value) {
    return value.name().toLowerCase(Locale.ROOT);
  }

  private static String choices(Enum<?>[] values) {
    return Arrays.stream(values).map(LossScale::nameOf).collect(Collectors.joining(", "));
  }

  /** The stretches of a part with the loss weights of their tokens, 0 for none. */
  List<WeightedText> weigh(List<Message> messages, Piece piece) {
    Message answer = piece.kind() == Piece.Kind.RESPONSE ? messages.get(piece.message()) : null;
    Boolean own = answer == null ? null : answer.loss();
    if (!(own == null ? isTrained(messages, piece) : own)) {
      return List.of(new WeightedText(piece.text(), 0));
    }
    Float ownScale = answer == null ? null : answer.lossScale();
    if (ownScale != null) {
      return List.of(new WeightedText(piece.text(), ownScale));
    }
    List<WeightedText> parts = List.of(new WeightedText(piece.text(), 1));
    if (weightings.isEmpty()) {
      return parts;
    }
    String question =
        answer == null || piece.message() == 0 ? null : messages.get(piece.message() - 1).content();
    for (LossWeighting weighting : weightings) {
      parts = parts.stream().flatMap(part -> weighed(weighting, part, question)).toList();
    }
    return parts;
  }

  private static Stream<WeightedText> weighed(
      LossWeighting weighting, WeightedText part, @Nullable String question) {
    return weighting.weigh(part.text(), question).stream()
        .map(finer -> new WeightedText(finer.text(), part.weight() * finer.weight()));
  }

  private boolean isTrained(List<Message> messages, Piece piece) {
    return switch (base) {
      case ALL -> true;
      case DEFAULT -> piece.kind() != Piece.Kind.CONTEXT;
      case LAST_ROUND -> piece.kind() != Piece.Kind.CONTEXT && piece.message() > lastUser(messages);
    };
  }

  private static int lastUser(List<Message> messages) {
    for (int i = messages.size() - 1; i >= 0; i--) {
      if (messages.get(i).role().equals("user")) {
        return i;
      }
    }
    return -1;
  }

  /** What {@link #parse} reads. */
  @Override
  public String toString() {
    return Stream.concat(Stream.of(base), weightings.stream())
        .map(LossScale::nameOf)
        .collect(Collectors.joining("+"));
  }
}
