package io.panatron.runtime.model;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.RotaryTable;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.tensor.HostTransfer;
import org.jspecify.annotations.Nullable;

/**
 * The rotary angles of a model, by the longest sequence of a forward pass; of a model without
 * rotary positions a table of no angles.
 *
 * <p>Most models have one table. With longrope there is a second for sequences beyond the original
 * context, and with dynamic scaling each length beyond what the model was made for has its own,
 * which is computed anew in the scope of the forward pass. As in transformers the longest sequence
 * decides for all of a pass, and cached keys keep the angles with which they were computed. Unlike
 * transformers the angles do not depend on earlier passes.
 */
public final class RotaryTables {
  private final ModelConfig config;
  private final RotaryTable table;
  private final @Nullable RotaryTable longTable;

  private RotaryTables(ModelConfig config, RotaryTable table, @Nullable RotaryTable longTable) {
    this.config = config;
    this.table = table;
    this.longTable = longTable;
  }

  /**
   * Tables for sequences of up to {@code positions} tokens.
   *
   * @param run owns them
   * @param dtype F64 or F32
   */
  static RotaryTables of(
      Device device, MemoryScope run, ModelConfig config, int positions, DType dtype) {
    RotaryTable longTable =
        config.ropeScaling() instanceof RopeScaling.LongRope scaling
                && positions > scaling.originalMaxPositions()
            ? table(device, run, config, positions, positions, dtype)
            : null;
    return new RotaryTables(config, table(device, run, config, positions, 1, dtype), longTable);
  }

  /** The most positions that a sequence may have. */
  int positions() {
    return table.positions();
  }

  /** The table for one forward pass. */
  RotaryTable of(Tape tape, AttentionLayout layout) {
    int longest = longest(layout);
    return switch (config.ropeScaling()) {
      case RopeScaling.LongRope scaling
          when longTable != null && longest > scaling.originalMaxPositions() ->
          longTable;
      case RopeScaling.Dynamic scaling when longest > scaling.maxPositions() ->
          table(
              tape.backend().device(),
              tape.scope(),
              config,
              longest,
              longest,
              table.cosine().dtype());
      case null, default -> table;
    };
  }

  private static int longest(AttentionLayout layout) {
    int longest = 0;
    for (int s = 0; s < layout.sequences(); s++) {
      longest = Math.max(longest, layout.keyLength(s));
    }
    return longest;
  }

  /**
   * Cosines and sines of {@code position * inverse frequency}, times the attention factor.
   *
   * <p>The angle is rounded to F32 before the cosine, as in transformers.
   */
  private static RotaryTable table(
      Device device,
      MemoryScope scope,
      ModelConfig config,
      int positions,
      int length,
      DType dtype) {
    float[] inverse = RotaryFrequencies.inverse(config, length);
    RopeScaling scaling = config.ropeScaling();
    double factor = scaling == null ? 1 : scaling.attentionFactor();
    double[] cosine = new double[Math.multiplyExact(positions, inverse.length)];
    double[] sine = new double[cosine.length];
    for (int position = 0; position < positions; position++) {
      for (int i = 0; i < inverse.length; i++) {
        double angle = (float) position * inverse[i];
        cosine[position * inverse.length + i] = factor * Math.cos(angle);
        sine[position * inverse.length + i] = factor * Math.sin(angle);
      }
    }
    return new RotaryTable(
        HostTransfer.upload(device, scope, "rotary cosine", cosine, dtype)
            .reshape(positions, inverse.length),
        HostTransfer.upload(device, scope, "rotary sine", sine, dtype)
            .reshape(positions, inverse.length),
        config.family().positions() == ModelFamily.PositionKind.INTERLEAVED_ROTARY);
  }
}
