package io.panatron.runtime.nn;

import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.IntStream;

/**
 * What a training pass keeps of each layer, and what backward computes a second time.
 *
 * <p>The first {@code coveredLayers} layers form units of {@code unitLayers}, of which only the
 * input is kept. Of the layers behind them, everything but {@code modules} is kept. The results are
 * the same bits under every plan.
 *
 * @param coveredLayers a multiple of {@code unitLayers}
 * @param unitLayers at least 1
 */
public record RecomputePlan(int coveredLayers, int unitLayers, Set<RecomputeModule> modules) {
  /** Keeps everything. */
  public static final RecomputePlan NONE = selective(Set.of());

  public RecomputePlan {
    if (unitLayers < 1 || coveredLayers < 0 || coveredLayers % unitLayers != 0) {
      throw new IllegalArgumentException(
          coveredLayers + " layers cannot be recomputed in units of " + unitLayers);
    }
    modules = Set.copyOf(modules);
  }

  /** All {@code layers} of a model in units of equal size, which must divide them. */
  public static RecomputePlan uniform(int layers, int unitLayers) {
    return new RecomputePlan(layers, unitLayers, Set.of());
  }

  /** The first {@code layers} layers, each by itself. */
  public static RecomputePlan block(int layers) {
    return new RecomputePlan(layers, 1, Set.of());
  }

  /** These modules of every layer. */
  public static RecomputePlan selective(Set<RecomputeModule> modules) {
    return new RecomputePlan(0, 1, modules);
  }

  /** A few words for the user. */
  public String describe() {
    if (coveredLayers > 0) {
      return "recomputing %d %s in units of %d"
          .formatted(coveredLayers, coveredLayers == 1 ? "layer" : "layers", unitLayers);
    }
    return modules.isEmpty()
        ? "recomputing nothing"
        : "recomputing "
            + EnumSet.copyOf(modules).stream()
                .map(RecomputeModule::label)
                .collect(Collectors.joining(", "));
  }

  /** The units of a stack of layers: those that keep their input alone. */
  <T> List<List<T>> units(List<T> layers) {
    if (coveredLayers > layers.size()) {
      throw new IllegalArgumentException(
          "a plan for %d layers cannot serve %d".formatted(coveredLayers, layers.size()));
    }
    return IntStream.range(0, coveredLayers / unitLayers)
        .mapToObj(unit -> layers.subList(unit * unitLayers, (unit + 1) * unitLayers))
        .toList();
  }
}
