package io.panatron.runtime.optim;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.nn.ParameterStore;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Main parameters and moments, and one update after another.
 *
 * <p>With F32 (or F64) parameters the model's own values are the main parameters; with BF16 or F16
 * the optimizer keeps main parameters in F32 and rounds them into the model after each update.
 */
public final class Optimizer {
  private final Backend backend;
  private final OptimizerSettings settings;
  private final ParameterStore store;
  private final Tensor mainParameters;
  private final Map<String, Tensor> moments = new LinkedHashMap<>();
  private final LossScaler lossScaler;
  private long steps;

  /** Allocates from the run scope; moments start at zero, main parameters at the model's values. */
  public Optimizer(
      Backend backend, MemoryScope run, OptimizerSettings settings, ParameterStore store) {
    this.backend = backend;
    this.settings = settings;
    this.store = store;
    DType accumulator = store.values().dtype().accumulator();
    if (store.values().dtype() == accumulator) {
      mainParameters = store.values();
    } else {
      mainParameters = run.allocate("main parameters", accumulator, store.layout().elements());
      adoptModelValues();
    }
    for (String name : momentNames(settings.kind())) {
      Tensor moment = run.allocate(name, accumulator, store.layout().elements());
      backend.fill(moment, 0);
      moments.put(name, moment);
    }
    lossScaler = settings.lossScaler(store.values().dtype());
  }

  static List<String> momentNames(OptimizerSettings.Kind kind) {
    return switch (kind) {
      case ADAM -> List.of("exp_avg", "exp_avg_sq");
      case SGD -> List.of("momentum_buffer");
    };
  }

  /** Sets the main parameters to what the model holds, after weights were loaded. */
  public void adoptModelValues() {
    if (mainParameters != store.values()) {
      backend.copy(store.values(), mainParameters);
    }
  }

  /** Rounds the main parameters into the model, after they were loaded. */
  public void publishMainParameters() {
    if (mainParameters != store.values()) {
      backend.copy(mainParameters, store.values());
    }
  }

  /** The parameters at full precision, flat; the model's own values if they are that already. */
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
      for (Parameter parameter : store.all()) {
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

  /** One update at {@code rate} with the gradients multiplied by {@code gradientScale}. */
  public void step(double rate, double gradientScale) {
    steps++;
    long decayed = store.layout().decayedElements();
    update(rate, gradientScale, settings.weightDecay(), 0, decayed);
    update(rate, gradientScale, 0, decayed, store.layout().elements() - decayed);
  }

  private void update(
      double rate, double gradientScale, double weightDecay, long first, long count) {
    if (count == 0) {
      return;
    }
    Tensor main = mainParameters.slice(first, count);
    Tensor gradient = store.gradients().slice(first, count);
    Tensor model = mainParameters == store.values() ? null : store.values().slice(first, count);
    switch (settings.kind()) {
      case ADAM ->
          backend.adamW(
              new AdamWStep(
                  rate,
                  settings.beta1(),
                  settings.beta2(),
                  settings.epsilon(),
                  weightDecay,
                  gradientScale,
                  steps),
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
