package io.panatron.kernels.cpu;

import static io.panatron.kernels.cpu.RowBuffers.STRETCH;

import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.DType;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.jspecify.annotations.Nullable;

/**
 * AdamW on state in narrow storage: widened to F32 in rows, updated as {@link CpuOptimizer} does,
 * and stored again.
 *
 * <p>A scale follows from the largest updated magnitude, so with scales the update is computed
 * twice: once to find that, once to store. That takes no memory.
 */
final class CpuStoredAdamW {
  private static final int PARAMETER = 0;
  private static final int FIRST = 1;
  private static final int SECOND = 2;

  /** Kinds of state, each with a scale. */
  private static final int STATES = 3;

  /** Row of the gradient, behind those of the state. */
  private static final int GRADIENT = 3;

  private final WorkerPool pool;
  private final RowBuffers buffers;

  /** Each piece's largest magnitudes, kept between calls. */
  private float[] largest = new float[0];

  CpuStoredAdamW(WorkerPool pool) {
    this.pool = pool;
    this.buffers = new RowBuffers(pool.threads(), STATES + 1);
    this.buffers.reserve(STRETCH);
  }

  void adamW(
      AdamWStep step,
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model) {
    State[] states = {State.of(parameter), State.of(firstMoment), State.of(secondMoment)};
    Update update =
        new Update(
            CpuOptimizer.AdamWFactors.of(step),
            states,
            gradient.dtype(),
            HostMemory.of(gradient),
            model == null ? DType.F32 : model.dtype(),
            model == null ? null : HostMemory.of(model));
    Pieces pieces = Pieces.ofElements(gradient.elements());
    float[] scales = {1, 1, 1};
    if (states[PARAMETER].isScaled() || states[FIRST].isScaled() || states[SECOND].isScaled()) {
      findScales(update, pieces, scales);
    }
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          long end = pieces.start(piece) + pieces.length(piece);
          for (long start = pieces.start(piece); start < end; start += STRETCH) {
            int count = (int) Math.min(STRETCH, end - start);
            compute(update, worker, start, count);
            store(update, scales, worker, start, count);
          }
        });
    for (int state = 0; state < STATES; state++) {
      states[state].setScale(scales[state]);
    }
  }

  /** Fills {@code scales} from the largest magnitudes that the update will leave. */
  private void findScales(Update update, Pieces pieces, float[] scales) {
    if (largest.length < STATES * pieces.count()) {
      largest = new float[STATES * pieces.count()];
    }
    float[] found = largest;
    pool.run(
        pieces.count(),
        (worker, piece) -> {
          long end = pieces.start(piece) + pieces.length(piece);
          for (int state = 0; state < STATES; state++) {
            found[STATES * piece + state] = 0;
          }
          for (long start = pieces.start(piece); start < end; start += STRETCH) {
            int count = (int) Math.min(STRETCH, end - start);
            compute(update, worker, start, count);
            for (int state = 0; state < STATES; state++) {
              if (update.states[state].isScaled()) {
                float here = StoredRows.largest(buffers.row(worker, state), count);
                int at = STATES * piece + state;
                found[at] = Math.max(found[at], here);
              }
            }
          }
        });
    for (int state = 0; state < STATES; state++) {
      if (update.states[state].isScaled()) {
        float whole = 0;
        for (int piece = 0; piece < pieces.count(); piece++) {
          whole = Math.max(whole, found[STATES * piece + state]);
        }
        scales[state] = StoredTensor.scale(update.states[state].dtype, whole);
      }
    }
  }

  /** Leaves the updated numbers in the worker's rows. */
  private void compute(Update update, int worker, long start, int count) {
    float[] gradient = buffers.row(worker, GRADIENT);
    RowAccess.read(
        update.gradientDType,
        update.gradient,
        start * update.gradientDType.bytes(),
        gradient,
        count);
    for (int state = 0; state < STATES; state++) {
      update.states[state].read(update.model, start, buffers.row(worker, state), count);
    }
    CpuOptimizer.adamWRow(
        update.factors,
        buffers.row(worker, PARAMETER),
        gradient,
        buffers.row(worker, FIRST),
        buffers.row(worker, SECOND),
        count);
  }

  private void store(Update update, float[] scales, int worker, long start, int count) {
    MemorySegment model = update.model;
    if (model != null && update.states[PARAMETER].dtype != DType.I16) {
      float[] parameter = buffers.row(worker, PARAMETER);
      RowAccess.write(
          update.modelDType, parameter, model, start * update.modelDType.bytes(), count);
    }
    for (int state = 0; state < STATES; state++) {
      float[] row = buffers.row(worker, state);
      update.states[state].write(model, row, scales[state], start, count);
    }
  }

  /** What the pieces of one call share. */
  private record Update(
      CpuOptimizer.AdamWFactors factors,
      State[] states,
      DType gradientDType,
      MemorySegment gradient,
      DType modelDType,
      @Nullable MemorySegment model) {}

  /** One kind of state. */
  private record State(
      DType dtype, MemorySegment values, @Nullable MemorySegment scale, float oldScale) {
    static State of(StoredTensor stored) {
      Tensor scale = stored.scale();
      MemorySegment segment = scale == null ? null : HostMemory.of(scale);
      return new State(
          stored.values().dtype(),
          HostMemory.of(stored.values()),
          segment,
          segment == null ? 1 : segment.get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0));
    }

    boolean isScaled() {
      return scale != null;
    }

    void setScale(float value) {
      if (scale != null) {
        scale.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 0, value);
      }
    }

    void read(@Nullable MemorySegment model, long start, float[] row, int count) {
      long offset = start * dtype.bytes();
      if (dtype == DType.I16 && model != null) {
        StoredRows.join(model, values, offset, row, count);
        return;
      }
      RowAccess.read(dtype, values, offset, row, count);
      if (scale != null) {
        CpuElementwise.scaleRow(row, oldScale, count);
      }
    }

    void write(@Nullable MemorySegment model, float[] row, float newScale, long start, int count) {
      long offset = start * dtype.bytes();
      if (dtype == DType.I16 && model != null) {
        StoredRows.split(row, model, values, offset, count);
        return;
      }
      if (scale != null) {
        CpuElementwise.scaleRow(row, StoredTensor.reciprocal(newScale), count);
      }
      RowAccess.write(dtype, row, values, offset, count);
    }
  }
}
