package io.panatron.runtime.optim;

import io.panatron.kernels.DType;
import io.panatron.kernels.Shape;
import io.panatron.kernels.StoredTensor;
import io.panatron.runtime.nn.FlatLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.Predicate;

/**
 * The memory that lives as long as a run, known before anything is allocated: parameters, gradients
 * and optimizer state, tensor by tensor.
 *
 * @param entries in the order of the model's parameters
 */
public record MemoryPlan(List<Entry> entries) {
  private static final double MIB = 1 << 20;

  /**
   * One tensor.
   *
   * @param purpose parameters, gradients, main_param, exp_avg, …
   * @param bytes of the tensor and of the gap behind it
   */
  public record Entry(String purpose, String name, String shape, DType dtype, long bytes) {}

  public MemoryPlan {
    entries = List.copyOf(entries);
  }

  /**
   * The plan of training parameters with an optimizer; frozen ones have neither gradients nor
   * state.
   */
  public static MemoryPlan of(
      List<FlatLayout.Spec> specs, DType dtype, OptimizerSettings optimizer) {
    return of(specs, dtype, optimizer, 1);
  }

  /**
   * The plan of a rank whose optimizer state is shared out among ranks: on average, since shares do
   * not follow parameters.
   *
   * @param ranks among which
   */
  public static MemoryPlan of(
      List<FlatLayout.Spec> specs, DType dtype, OptimizerSettings optimizer, int ranks) {
    StateDTypes state = optimizer.stateDTypes();
    List<Entry> entries = new ArrayList<>();
    add(entries, "parameters", dtype, specs, 1);
    List<FlatLayout.Spec> trained = specs.stream().filter(FlatLayout.Spec::trained).toList();
    add(entries, "gradients", state.gradients(dtype), trained, 1);
    DType main = state.parameters(dtype);
    if (main != null) {
      addState(entries, "main_param", main, trained, ranks);
    }
    for (String moment : Optimizer.momentNames(optimizer.kind())) {
      addState(entries, moment, state.moment(moment, dtype), trained, ranks);
    }
    return new MemoryPlan(entries);
  }

  private static void add(
      List<Entry> entries, String purpose, DType dtype, List<FlatLayout.Spec> specs, int ranks) {
    for (FlatLayout.Spec spec : specs) {
      long bytes = FlatLayout.paddedElements(spec.shape()) * dtype.bytes() / ranks;
      entries.add(new Entry(purpose, spec.name(), spec.shape().toString(), dtype, bytes));
    }
  }

  private static void addState(
      List<Entry> entries, String purpose, DType dtype, List<FlatLayout.Spec> specs, int ranks) {
    add(entries, purpose, dtype, specs, ranks);
    if (StoredTensor.isScaled(dtype)) {
      String shape = Shape.of(specs.size()).toString();
      long bytes = (long) specs.size() * DType.F32.bytes();
      entries.add(new Entry("scales", purpose, shape, DType.F32, bytes));
    }
  }

  /** Bytes of all entries. */
  public long bytes() {
    return entries.stream().mapToLong(Entry::bytes).sum();
  }

  /**
   * Bytes of what a checkpoint holds: all but the gradients, or the parameters alone.
   *
   * @param parameters which parameters it holds
   */
  public long savedBytes(boolean withOptimizer, Predicate<String> parameters) {
    return entries.stream()
        .filter(entry -> !entry.purpose().equals("parameters") || parameters.test(entry.name()))
        .filter(entry ->
            withOptimizer
                ? !entry.purpose().equals("gradients")
                : entry.purpose().equals("parameters"))
        .mapToLong(Entry::bytes)
        .sum();
  }

  /** One line for each purpose. */
  public List<String> summary() {
    List<String> lines = new ArrayList<>();
    entries.stream()
        .map(Entry::purpose)
        .distinct()
        .forEach(purpose -> {
          List<Entry> of = entries.stream().filter(e -> e.purpose().equals(purpose)).toList();
          long bytes = of.stream().mapToLong(Entry::bytes).sum();
          lines.add(
              String.format(
                  Locale.ROOT,
                  "%-12s %-5s %12.1f MiB",
                  purpose,
                  of.getFirst().dtype(),
                  bytes / MIB));
        });
    return lines;
  }

  /** One line for each tensor: purpose, name, shape, dtype, bytes. */
  public List<String> table() {
    return entries.stream()
        .map(e ->
            String.format(
                Locale.ROOT,
                "%-12s %-48s %-16s %-5s %14d",
                e.purpose(),
                e.name(),
                e.shape(),
                e.dtype(),
                e.bytes()))
        .toList();
  }
}
