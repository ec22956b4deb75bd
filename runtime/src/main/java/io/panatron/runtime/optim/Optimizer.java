package io.panatron.runtime.optim;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
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
 * <p>With F32 (or F64) parameters the model's own values are the main parameters; with BF16 or F16
 * the optimizer keeps main parameters in F32 and rounds them into the model after each update.
 *
 * <p>{@link StateDTypes} may have main parameters, gradients and moments stored narrower; each
 * parameter is then updated by itself, since its scales are its own.
 */
public final class Optimizer {
  private final Backend backend;
  private final OptimizerSettings settings;
  private final ParameterStore store;
  private final SharedGradients gradients;
  private final OwnedElements owned;
  private final Tensor mainParameters;
  private final @Nullable FlatState narrowParameters;
  private final Map<String, Tensor> moments = new LinkedHashMap<>();
  private Runnable beforeUpdate = () -> {};
  private final Map<String, FlatState> narrowMoments = new LinkedHashMap<>();
  private final LossScaler lossScaler;
  private long steps;

  /** The optimizer of a rank that holds the only copy of its parameters. */
  public Optimizer(
      Backend backend, MemoryScope run, OptimizerSettings settings, ParameterStore store) {
    this(backend, run, settings, store, SharedGradients.alone(backend, store));
  }

  /**
   * Allocates from the run scope what this rank owns; moments start at zero, main parameters at the
   * model's values.
   *
   * @param gradients of this rank among those that share the model and its samples
   */
  public Optimizer(
      Backend backend,
      MemoryScope run,
      OptimizerSettings settings,
      ParameterStore store,
      SharedGradients gradients) {
    this.backend = backend;
    this.settings = settings;
    this.store = store;
    this.gradients = gradients;
    this.owned = gradients.samples().owned();
    DType compute = store.values().dtype();
    StateDTypes dtypes = settings.stateDTypes();
    lossScaler = settings.lossScaler(compute);
    if (dtypes.isNarrow(compute)) {
      requireWhole();
      Tensor staging = FlatState.newStaging(run, store);
      DType main = dtypes.parameters(compute);
      narrowParameters =
          main == null ? null : new FlatState(backend, run, store, "main_param", main, staging);
      mainParameters = store.values();
      for (String name : momentNames(settings.kind())) {
        DType dtype = dtypes.moment(name, compute);
        narrowMoments.put(name, new FlatState(backend, run, store, name, dtype, staging));
      }
    } else {
      DType accumulator = compute.accumulator();
      narrowParameters = null;
      mainParameters =
          compute == accumulator
              ? store.values()
              : run.allocate("main parameters", accumulator, owned.elements());
      for (String name : momentNames(settings.kind())) {
        Tensor moment = run.allocate(name, accumulator, owned.elements());
        backend.fill(moment, 0);
        moments.put(name, moment);
      }
    }
    adoptModelValues();
  }

  private void requireWhole() {
    if (gradients.samples().isDistributed()) {
      throw new UserError(
          "optimizer state in narrow dtypes (--use_precision_aware_optimizer) is not supported yet"
              + " with several data-parallel ranks; drop it, or train on one rank.");
    }
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
    } else if (mainParameters != store.values()) {
      for (OwnedElements.Piece piece : owned.pieces()) {
        backend.copy(
            store.values().slice(piece.first(), piece.count()),
            mainParameters.slice(piece.offset(), piece.count()));
      }
    }
  }

  /** Rounds the main parameters into the model, after they were loaded. */
  public void publishMainParameters() {
    if (mainParameters != store.values()) {
      for (OwnedElements.Piece piece : owned.pieces()) {
        backend.copy(
            mainParameters.slice(piece.offset(), piece.count()),
            store.values().slice(piece.first(), piece.count()));
      }
      gradients.samples().gatherParameters();
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
   * The parameters at full precision, flat: those this rank {@link #owned owns}. The model's own
   * values, all of them, if they are that already, or if {@link #narrowParameters} are kept.
   */
  public Tensor mainParameters() {
    return mainParameters;
  }

  /** {@link #mainParameters}, or the model's values where this rank has some of those alone. */
  public Tensor wholeParameters() {
    return samples().isDistributed() ? store.values() : mainParameters;
  }

  /** The elements that this rank updates, and where their state lies. */
  public OwnedElements owned() {
    return owned;
  }

  /** The ranks that hold the same parameters. */
  public DataParallel samples() {
    return gradients.samples();
  }

  /** The flat moments by name, of the elements that this rank {@link #owned owns}. */
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

  /**
   * Adds up what ranks computed of the same gradient; called on every rank, once after the passes
   * of a step.
   *
   * @throws NonFiniteGradientException before that, where the loss scale is fixed and there are
   *     other ranks, naming the first of this rank's parameters with a NaN or infinite gradient
   */
  public void completeGradients() {
    boolean checked = gradients.areShared() && !(lossScaler instanceof DynamicLossScale);
    if (checked && !Double.isFinite(backend.sumOfSquares(store.gradients()))) {
      throw nonFinite();
    }
    gradients.complete();
  }

  /** {@link #gradientNorm}, or NaN if a gradient is not finite. */
  public double gradientNormOrNan(double scale) {
    double sum = gradients.sumOfSquares();
    return Double.isFinite(sum) ? Math.sqrt(sum) * scale : Double.NaN;
  }

  /**
   * The L2 norm of all gradients after multiplying them by {@code scale}.
   *
   * @throws NonFiniteGradientException naming the first parameter with a NaN or infinite gradient
   */
  public double gradientNorm(double scale) {
    double sum = gradients.sumOfSquares();
    if (!Double.isFinite(sum)) {
      throw nonFinite();
    }
    return Math.sqrt(sum) * scale;
  }

  private NonFiniteGradientException nonFinite() {
    String name = gradients.firstNonFinite();
    if (name == null) {
      throw new IllegalStateException("the gradient norm overflows although every part is finite");
    }
    return new NonFiniteGradientException(name);
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
    for (OwnedElements.Piece piece : owned.pieces()) {
      long decaying = Math.clamp(decayed - piece.first(), 0, piece.count());
      update(rate, gradientScale, settings.weightDecay(), piece, 0, decaying);
      update(rate, gradientScale, 0, piece, decaying, piece.count() - decaying);
    }
    gradients.samples().gatherParameters();
  }

  private void updateEach(double rate, double gradientScale) {
    FlatLayout layout = store.layout();
    List<Parameter> parameters = store.all();
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
      double rate,
      double gradientScale,
      double weightDecay,
      OwnedElements.Piece piece,
      long start,
      long count) {
    if (count == 0) {
      return;
    }
    boolean separate = mainParameters != store.values();
    long first = piece.first() + start;
    long offset = piece.offset() + start;
    Tensor values = store.values().slice(first, count);
    Tensor gradient = store.gradients().slice(first, count);
    Tensor main = separate ? mainParameters.slice(offset, count) : values;
    Tensor model = separate ? values : null;
    switch (settings.kind()) {
      case ADAM ->
          backend.adamW(
              adamWStep(rate, gradientScale, weightDecay),
              main,
              gradient,
              moment("exp_avg").slice(offset, count),
              moment("exp_avg_sq").slice(offset, count),
              model);
      case SGD ->
          backend.sgd(
              new SgdStep(rate, settings.momentum(), weightDecay, gradientScale, steps),
              main,
              gradient,
              moment("momentum_buffer").slice(offset, count),
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
