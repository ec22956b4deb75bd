package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.nn.ParameterStore;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * The state of a distributed optimizer brought together on the first of the ranks that share it, as
 * files hold it; of every other optimizer its own state.
 *
 * <p>What is collected here stays as it is until the next {@link #collect}, whatever the optimizer
 * does meanwhile.
 */
public final class WholeState {
  private final Backend backend;
  private final ParameterStore store;
  private final Optimizer optimizer;
  private final boolean collected;
  private final @Nullable Tensor mainParameters;
  private final Map<String, Tensor> moments = new LinkedHashMap<>();

  /**
   * Allocates from the run scope where this rank brings state together.
   *
   * @param wanted whether state is to be saved at all
   */
  public WholeState(
      Backend backend, MemoryScope run, ParameterStore store, Optimizer optimizer, boolean wanted) {
    this.backend = backend;
    this.store = store;
    this.optimizer = optimizer;
    collected = wanted && optimizer.samples().isDistributed();
    long elements = store.layout().elements();
    if (!collected || !optimizer.samples().isFirst()) {
      mainParameters = null;
      return;
    }
    Tensor main = optimizer.mainParameters();
    mainParameters =
        isSeparate(main) ? run.allocate("saved main parameters", main.dtype(), elements) : null;
    optimizer
        .moments()
        .forEach((name, moment) ->
            moments.put(name, run.allocate("saved " + name, moment.dtype(), elements)));
  }

  private boolean isSeparate(Tensor main) {
    return main != store.values();
  }

  /** Brings the state together; called on all ranks that share it. */
  public void collect() {
    if (!collected) {
      return;
    }
    if (isSeparate(optimizer.mainParameters())) {
      optimizer.samples().collect(backend, optimizer.mainParameters(), mainParameters);
    }
    new TreeMap<>(optimizer.moments())
        .forEach((name, moment) -> optimizer.samples().collect(backend, moment, moments.get(name)));
  }

  /** Whether this rank has it all after {@link #collect}. */
  public boolean isHere() {
    return optimizer.samples().isFirst();
  }

  /** As {@link Optimizer#mainParameters}, of all elements. */
  public Tensor mainParameters() {
    return mainParameters == null ? optimizer.mainParameters() : mainParameters;
  }

  /** As {@link Optimizer#moments}, of all elements. */
  public Map<String, Tensor> moments() {
    return collected ? Map.copyOf(moments) : optimizer.moments();
  }
}
