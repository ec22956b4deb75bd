package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.VectorAccess.load;
import static io.panatron.kernels.cpu.VectorAccess.store;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The updates whose formulas {@link AdamWStep} and {@link SgdStep} state, each in one pass over memory.
 *
 * <p>Scalars are prepared in double and rounded once; elements follow the order of operations of {@code
 * torch.optim}, so that results agree with it to F32 rounding.
 */
final class CpuOptimizer {
  private final WorkerPool pool;

  CpuOptimizer(WorkerPool pool) {
    this.pool = pool;
  }

  void adamW(
      AdamWStep step,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model) {
    AdamWFactors factors = AdamWFactors.of(step);
    MemorySegment p = HostMemory.of(parameter);
    MemorySegment g = HostMemory.of(gradient);
    MemorySegment m = HostMemory.of(firstMoment);
    MemorySegment v = HostMemory.of(secondMoment);
    @Nullable MemorySegment copy = model == null ? null : HostMemory.of(model);
    boolean bf16 = model != null && model.dtype() == DType.BF16;
    Pieces pieces = Pieces.ofElements(parameter.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            adamW(factors, p, g, m, v, copy, bf16, pieces.start(piece), pieces.length(piece)));
  }

  void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    MemorySegment p = HostMemory.of(parameter);
    MemorySegment g = HostMemory.of(gradient);
    MemorySegment b = HostMemory.of(momentum);
    @Nullable MemorySegment copy = model == null ? null : HostMemory.of(model);
    boolean bf16 = model != null && model.dtype() == DType.BF16;
    Pieces pieces = Pieces.ofElements(parameter.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            sgd(step, p, g, b, copy, bf16, pieces.start(piece), pieces.length(piece)));
  }

  /** The scalars of an update as its loop multiplies with them. */
  private record AdamWFactors(
      float gradientScale,
      float decay,
      float firstRate,
      float beta2,
      float secondRate,
      float secondUnbias,
      float epsilon,
      float stepSize) {
    static AdamWFactors of(AdamWStep step) {
      return new AdamWFactors(
          (float) step.gradientScale(),
          (float) (1 - step.learningRate() * step.weightDecay()),
          (float) (1 - step.beta1()),
          (float) step.beta2(),
          (float) (1 - step.beta2()),
          (float) (1 / Math.sqrt(step.secondCorrection())),
          (float) step.epsilon(),
          (float) (step.learningRate() / step.firstCorrection()));
    }
  }

  private static void adamW(
      AdamWFactors factors,
      MemorySegment parameter,
      MemorySegment gradient,
      MemorySegment firstMoment,
      MemorySegment secondMoment,
      @Nullable MemorySegment model,
      boolean bf16,
      long start,
      int n) {
    long base = 4 * start;
    long modelBase = (bf16 ? 2 : 4) * start;
    for (int i = 0; i < n; i += LANES) {
      FloatVector g = load(false, gradient, base, i, n).mul(factors.gradientScale);
      FloatVector m = load(false, firstMoment, base, i, n);
      m = g.sub(m).fma(broadcast(factors.firstRate), m);
      store(false, m, firstMoment, base, i, n);
      FloatVector v = load(false, secondMoment, base, i, n);
      v = g.mul(g).fma(broadcast(factors.secondRate), v.mul(factors.beta2));
      store(false, v, secondMoment, base, i, n);
      FloatVector denominator =
          v.sqrt().fma(broadcast(factors.secondUnbias), broadcast(factors.epsilon));
      FloatVector p =
          load(false, parameter, base, i, n)
              .mul(factors.decay)
              .sub(m.mul(factors.stepSize).div(denominator));
      store(false, p, parameter, base, i, n);
      if (model != null) {
        store(bf16, p, model, modelBase, i, n);
      }
    }
  }

  private static void sgd(
      SgdStep step,
      MemorySegment parameter,
      MemorySegment gradient,
      MemorySegment momentum,
      @Nullable MemorySegment model,
      boolean bf16,
      long start,
      int n) {
    long base = 4 * start;
    long modelBase = (bf16 ? 2 : 4) * start;
    FloatVector learningRate = broadcast((float) step.learningRate());
    FloatVector weightDecay = broadcast((float) step.weightDecay());
    float gradientScale = (float) step.gradientScale();
    float keep = (float) step.momentum();
    boolean first = step.step() == 1; // the momentum holds nothing yet
    for (int i = 0; i < n; i += LANES) {
      FloatVector p = load(false, parameter, base, i, n);
      FloatVector b =
          load(false, gradient, base, i, n).mul(gradientScale).add(p.mul(weightDecay));
      if (!first) {
        b = load(false, momentum, base, i, n).mul(keep).add(b);
      }
      store(false, b, momentum, base, i, n);
      p = p.sub(b.mul(learningRate));
      store(false, p, parameter, base, i, n);
      if (model != null) {
        store(bf16, p, model, modelBase, i, n);
      }
    }
  }

  private static FloatVector broadcast(float value) {
    return FloatVector.broadcast(VectorMath.FLOATS, value);
  }
}
