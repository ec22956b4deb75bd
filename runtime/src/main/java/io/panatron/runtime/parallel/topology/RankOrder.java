package io.panatron.runtime.parallel.topology;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * Which dimension changes fastest as the rank's number grows.
 *
 * @param axes fastest first; a dimension that is missing must have size 1
 */
public record RankOrder(List<ParallelAxis> axes) {
  /** Neighbouring ranks share matrices, distant ones the pipeline: {@code tp-cp-ep-dp-pp}. */
  public static final RankOrder DEFAULT =
      new RankOrder(
          List.of(
              ParallelAxis.TENSOR,
              ParallelAxis.CONTEXT,
              ParallelAxis.EXPERT,
              ParallelAxis.DATA,
              ParallelAxis.PIPELINE));

  public RankOrder {
    axes = List.copyOf(axes);
    if (axes.stream().distinct().count() != axes.size()) {
      throw new UserError(
          "the order of ranks %s names a dimension twice; name each of tp, cp, ep, dp and pp once."
              .formatted(text(axes)));
    }
  }

  /** Reads tokens joined by minus signs, such as {@code tp-cp-ep-dp-pp}, in either case. */
  public static RankOrder parse(String text) {
    List<ParallelAxis> axes = new ArrayList<>();
    for (String token : text.toLowerCase(Locale.ROOT).split("-", -1)) {
      Optional<ParallelAxis> axis =
          Arrays.stream(ParallelAxis.values()).filter(a -> a.token().equals(token)).findFirst();
      axes.add(
          axis.orElseThrow(() ->
              new UserError(
                  "the order of ranks %s names '%s', which is no dimension; use tp, cp, ep, dp and pp joined by -."
                      .formatted(text, token))));
    }
    return new RankOrder(axes);
  }

  @Override
  public String toString() {
    return text(axes);
  }

  private static String text(List<ParallelAxis> axes) {
    return axes.stream().map(ParallelAxis::token).collect(Collectors.joining("-"));
  }
}
