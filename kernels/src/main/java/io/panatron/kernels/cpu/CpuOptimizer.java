package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowAccess.read;
import static io.panatron.kernels.cpu.RowAccess.write;
import static io.panatron.kernels.cpu.RowBuffers.STRETCH;
import static io.panatron.kernels.cpu.VectorMath.FLOATS;
import static io.panatron.kernels.cpu.VectorMath.LANES;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import jdk.incubator.vector.FloatVector;
import org.jspecify.annotations.Nullable;

/**
 * The updates whose formulas {@link AdamWStep} and {@link SgdStep} state, each in one pass over
 * memory.
 *
 * <p>Scalars are prepared in double and rounded once; elements follow the order of operations of
 * {@code torch.optim}, so that results agree with it to F32 rounding.
 */
final class CpuOptimizer {
  private final WorkerPool pool;
  private final RowBuffers buffers;

  CpuOptimizer(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), 4);
    this.buffers.reserve(STRETCH);
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
    DType copied = model == null ? DType.F32 : model.dtype();
    Pieces pieces = Pieces.ofElements(parameter.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            adamWPiece(
                factors,
                p,
                g,
                m,
                v,
                copy,
                copied,
                pieces.start(piece),
                pieces.length(piece),
                worker));
  }

  void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    MemorySegment p = HostMemory.of(parameter);
    MemorySegment g = HostMemory.of(gradient);
    MemorySegment b = HostMemory.of(momentum);
    @Nullable MemorySegment copy = model == null ? null : HostMemory.of(model);
    DType copied = model == null ? DType.F32 : model.dtype();
    Pieces pieces = Pieces.ofElements(parameter.elements());
    pool.run(
        pieces.count(),
        (worker, piece) ->
            sgdPiece(
                step, p, g, b, copy, copied, pieces.start(piece), pieces.length(piece), worker));
  }

  /** The scalars of an update as its loop multiplies with them. */
  record AdamWFactors(
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

  private void adamWPiece(
      AdamWFactors factors,
      MemorySegment parameter,
      MemorySegment gradient,
      MemorySegment firstMoment,
      MemorySegment secondMoment,
      @Nullable MemorySegment model,
      DType copied,
      long start,
      int n,
      int worker) {
    float[] p = buffers.row(worker, 0);
    float[] g = buffers.row(worker, 1);
    float[] m = buffers.row(worker, 2);
    float[] v = buffers.row(worker, 3);
    for (int first = 0; first < n; first += STRETCH) {
      int count = Math.min(STRETCH, n - first);
      long offset = 4 * (start + first);
      read(DType.F32, parameter, offset, p, count);
      read(DType.F32, gradient, offset, g, count);
      read(DType.F32, firstMoment, offset, m, count);
      read(DType.F32, secondMoment, offset, v, count);
      adamWRow(factors, p, g, m, v, count);
      write(DType.F32, p, parameter, offset, count);
      write(DType.F32, m, firstMoment, offset, count);
      write(DType.F32, v, secondMoment, offset, count);
      if (model != null) {
        write(copied, p, model, (start + first) * copied.bytes(), count);
      }
    }
  }

  static void adamWRow(
      AdamWFactors factors,
      float[] parameter,
      float[] gradient,
      float[] first,
      float[] second,
      int n) {
    FloatVector secondRate = FloatVector.broadcast(FLOATS, factors.secondRate);
    FloatVector firstRate = FloatVector.broadcast(FLOATS, factors.firstRate);
    FloatVector secondUnbias = FloatVector.broadcast(FLOATS, factors.secondUnbias);
    FloatVector epsilon = FloatVector.broadcast(FLOATS, factors.epsilon);
    for (int i = 0; i < n; i += LANES) {
      FloatVector g = FloatVector.fromArray(FLOATS, gradient, i).mul(factors.gradientScale);
      FloatVector m = FloatVector.fromArray(FLOATS, first, i);
      m = g.sub(m).fma(firstRate, m);
      m.intoArray(first, i);
      FloatVector v = FloatVector.fromArray(FLOATS, second, i).mul(factors.beta2);
      v = g.mul(g).fma(secondRate, v);
      v.intoArray(second, i);
      FloatVector denominator = v.sqrt().fma(secondUnbias, epsilon);
      FloatVector.fromArray(FLOATS, parameter, i)
          .mul(factors.decay)
          .sub(m.mul(factors.stepSize).div(denominator))
          .intoArray(parameter, i);
    }
  }

  private void sgdPiece(
      SgdStep step,
      MemorySegment parameter,
      MemorySegment gradient,
      MemorySegment momentum,
      @Nullable MemorySegment model,
      DType copied,
      long start,
      int n,
      int worker) {
    float[] p = buffers.row(worker, 0);
    float[] g = buffers.row(worker, 1);
    float[] b = buffers.row(worker, 2);
    boolean first = step.step() == 1; // the momentum holds nothing yet
    float keep = first ? 0 : (float) step.momentum();
    for (int done = 0; done < n; done += STRETCH) {
      int count = Math.min(STRETCH, n - done);
      long offset = 4 * (start + done);
      read(DType.F32, parameter, offset, p, count);
      read(DType.F32, gradient, offset, g, count);
      if (first) {
        Arrays.fill(b, 0f);
      } else {
        read(DType.F32, momentum, offset, b, count);
      }
      sgdRow(step, keep, p, g, b, count);
      write(DType.F32, p, parameter, offset, count);
      write(DType.F32, b, momentum, offset, count);
      if (model != null) {
        write(copied, p, model, (start + done) * copied.bytes(), count);
      }
    }
  }

  private static void sgdRow(
      SgdStep step, float keep, float[] parameter, float[] gradient, float[] momentum, int n) {
    float learningRate = (float) step.learningRate();
    float weightDecay = (float) step.weightDecay();
    float gradientScale = (float) step.gradientScale();
    for (int i = 0; i < n; i += LANES) {
      FloatVector p = FloatVector.fromArray(FLOATS, parameter, i);
      FloatVector g =
          FloatVector.fromArray(FLOATS, gradient, i).mul(gradientScale).add(p.mul(weightDecay));
      FloatVector b = FloatVector.fromArray(FLOATS, momentum, i).mul(keep).add(g);
      b.intoArray(momentum, i);
      p.sub(b.mul(learningRate)).intoArray(parameter, i);
    }
  }
}
