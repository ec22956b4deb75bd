package io.panatron.runtime.optim;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Main parameters and moments, and one update after another.
 *
 * <p>It knows the trained parameters only. With F32 (or F64) parameters the model's own values are
 * the main parameters; with BF16 or F16 the optimizer keeps main parameters in F32 and rounds them
 * into the model after each update.
 *
 * <p>{@link StateDTypes} may have main parameters, gradients and moments stored narrower; each
 * parameter is then updated by itself, since its scales are its own.
 */
public final class Optimizer {
  private final Backend backend;
  private final OptimizerSettings settings;
  private final ParameterStore store;
  private final Tensor mainParameters;
  private final @Nullable FlatState narrowParameters;
  private final Map<String, Tensor> moments = new LinkedHashMap<>();
  private Runnable beforeUpdate = () -> {};
  private final Map<String, FlatState> narrowMoments = new LinkedHashMap<>();
  private final LossScaler lossScaler;
  private long steps;

  /** Allocates from the run scope; moments start at zero, main parameters at the model's values. */
  public Optimizer(
      Backend backend, MemoryScope run, OptimizerSettings settings, ParameterStore store) {
    this.backend = backend;
    this.settings = settings;
    this.store = store;
    DType compute = store.values().dtype();
    StateDTypes dtypes = settings.stateDTypes();
    lossScaler = settings.lossScaler(compute);
    if (dtypes.isNarrow(compute)) {
      Tensor staging = FlatState.newStaging(run, store);
      DType main = dtypes.parameters(compute);
      narrowParameters =
          main == null ? null : new FlatState(backend, run, store, "main_param", main, staging);
      mainParameters = store.trainedValues();
      for (String name : momentNames(settings.kind())) {
        DType dtype = dtypes.moment(name, compute);
        narrowMoments.put(name, new FlatState(backend, run, store, name, dtype, staging));
      }
    } else {
      DType accumulator = compute.accumulator();
      narrowParameters = null;
      mainParameters =
          compute == accumulator
              ? store.trainedValues()
              : run.allocate("main parameters", accumulator, store.layout().trainedElements());
      for (String name : momentNames(settings.kind())) {
        Tensor moment = run.allocate(name, accumulator, store.layout().trainedElements());
        backend.fill(moment, 0);
        moments.put(name, moment);
      }
    }
    adoptModelValues();
  }

  static List<String> momentNames(OptimizerSettings.Kind kind) {
    return switch (kind) {
      case ADAM -> List.of("exp_avg", "exp_avg_sq");
      case SGD -> List.of("momentum_buffer");
    };
  }

  /** Sets the main parameters to what the model holds, after weights were loaded. */
  public void adoptModelValues() {
    if (narrowParameters != null) {
      narrowParameters.adoptModel();
    } else if (mainParameters != store.trainedValues()) {
      backend.copy(store.trainedValues(), mainParameters);
    }
  }

  /** Rounds the main parameters into the model, after they were loaded. */
  public void publishMainParameters() {
    if (mainParameters != store.trainedValues()) {
      backend.copy(mainParameters, store.trainedValues());
    }
  }

  /** Main parameters under {@link StateDTypes} that are not F32 and the model's own; else null. */
  public @Nullable FlatState narrowParameters() {
    return narrowParameters;
  }

  /** The moments by name where any state is stored narrow; {@link #moments} is then empty. */
  public Map<String, FlatState> narrowMoments() {
    return Map.copyOf(narrowMoments);
  }

  /**
   * The parameters at full precision, flat; the model's own values if they are that already, or if
   * {@link #narrowParameters} are kept.
   */
  public Tensor mainParameters() {
    return mainParameters;
  }

  /** The flat moments by name. */
  public Map<String, Tensor> moments() {
    return Map.copyOf(moments);
  }

  /** What the loss is multiplied with before backward. */
  public LossScaler lossScaler() {
    return lossScaler;
  }

  /** Updates done so far. */
  public long steps() {
    return steps;
  }

  public void restoreSteps(long done) {
    steps = done;
  }

  public void zeroGradients() {
    backend.fill(store.gradients(), 0);
  }

  /** {@link #gradientNorm}, or NaN if a gradient is not finite. */
  public double gradientNormOrNan(double scale) {
    double squares = backend.sumOfSquares(store.gradients());
    return Double.isFinite(squares) ? Math.sqrt(squares) * scale : Double.NaN;
  }

  /**
   * The L2 norm of all gradients after multiplying them by {@code scale}.
   *
   * @throws NonFiniteGradientException naming the first parameter with a NaN or infinite gradient
   */
  public double gradientNorm(double scale) {
    double squares = backend.sumOfSquares(store.gradients());
    if (!Double.isFinite(squares)) {
      for (Parameter parameter : store.trained()) {
        if (!Double.isFinite(backend.sumOfSquares(parameter.trainedGradient()))) {
          throw new NonFiniteGradientException(parameter.name());
        }
      }
      throw new IllegalStateException("the gradient norm overflows although every part is finite");
    }
    return Math.sqrt(squares) * scale;
  }

  /**
   * The factor that brings a norm down to {@code clipGrad}: {@code clip / (norm + 1e-6)} if below
   * 1.
   */
  public double clipFactor(double norm) {
    if (settings.clipGrad() == 0) {
      return 1;
    }
    return Math.min(1, settings.clipGrad() / (norm + 1e-6));
  }

  /**
   * Runs {@code wait} before each update changes anything. Between updates main parameters and
   * moments stay as they are, so somebody may read them on another thread until then.
   */
  public void beforeUpdate(Runnable wait) {
    beforeUpdate = wait;
  }

  /** One update at {@code rate} with the gradients multiplied by {@code gradientScale}. */
  public void step(double rate, double gradientScale) {
    beforeUpdate.run();
    steps++;
    if (!narrowMoments.isEmpty()) {
      updateEach(rate, gradientScale);
      return;
    }
    long decayed = store.layout().decayedElements();
    update(rate, gradientScale, settings.weightDecay(), 0, decayed);
    update(rate, gradientScale, 0, decayed, store.layout().trainedElements() - decayed);
  }

  private void updateEach(double rate, double gradientScale) {
    FlatLayout layout = store.layout();
    List<Parameter> parameters = store.trained();
    for (int i = 0; i < parameters.size(); i++) {
      FlatLayout.Slot slot = layout.slot(parameters.get(i).name());
      long count = slot.shape().elements();
      Tensor values = store.values().slice(slot.first(), count);
      boolean decays = slot.first() < layout.decayedElements();
      backend.adamWStored(
          adamWStep(rate, gradientScale, decays ? settings.weightDecay() : 0),
          narrowParameters == null ? StoredTensor.of(values) : narrowParameters.of(i),
          store.gradients().slice(slot.first(), count),
          narrowMoment("exp_avg").of(i),
          narrowMoment("exp_avg_sq").of(i),
          narrowParameters == null ? null : values);
    }
  }

  private AdamWStep adamWStep(double rate, double gradientScale, double weightDecay) {
    return new AdamWStep(
        rate,
        settings.beta1(),
        settings.beta2(),
        settings.epsilon(),
        weightDecay,
        gradientScale,
        steps);
  }

  private FlatState narrowMoment(String name) {
    return Objects.requireNonNull(narrowMoments.get(name), name);
  }

  private void update(
      double rate, double gradientScale, double weightDecay, long first, long count) {
    if (count == 0) {
      return;
    }
    Tensor main = mainParameters.slice(first, count);
    Tensor gradient = store.gradients().slice(first, count);
    Tensor model =
        mainParameters == store.trainedValues() ? null : store.trainedValues().slice(first, count);
    switch (settings.kind()) {
      case ADAM ->
          backend.adamW(
              adamWStep(rate, gradientScale, weightDecay),
              main,
              gradient,
              moment("exp_avg").slice(first, count),
              moment("exp_avg_sq").slice(first, count),
              model);
      case SGD ->
          backend.sgd(
              new SgdStep(rate, settings.momentum(), weightDecay, gradientScale, steps),
              main,
              gradient,
              moment("momentum_buffer").slice(first, count),
              model);
    }
  }

  private Tensor moment(String name) {
    @Nullable Tensor moment = moments.get(name);
    if (moment == null) {
      throw new IllegalStateException("this optimizer has no " + name);
    }
    return moment;
  }
}
