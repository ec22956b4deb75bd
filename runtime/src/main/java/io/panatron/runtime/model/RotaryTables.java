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
 * which lies in the scope of the forward pass; its angles are computed anew where the pass before
 * had another longest sequence. As in transformers the longest sequence decides for all of a pass,
 * and cached keys keep the angles with which they were computed. Unlike transformers the angles do
 * not depend on earlier passes.
 */
public final class RotaryTables {
  private final ModelConfig config;
  private final RotaryTable table;
  private final @Nullable RotaryTable longTable;
  private volatile @Nullable Angles latest;

  /** Cosines and sines on the host, [positions, frequencies], where {@code length} decides. */
  private record Angles(
      int length, int positions, int frequencies, double[] cosine, double[] sine) {}

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
          upload(
              tape.backend().device(),
              tape.scope(),
              config,
              dynamic(longest),
              table.cosine().dtype());
      case null, default -> table;
    };
  }

  /** Packs are of one length for the most part, so the latest angles are kept. */
  private Angles dynamic(int longest) {
    Angles known = latest;
    if (known == null || known.length() != longest) {
      known = angles(config, longest, longest);
      latest = known;
    }
    return known;
  }

  private static int longest(AttentionLayout layout) {
    int longest = 0;
    for (int s = 0; s < layout.sequences(); s++) {
      longest = Math.max(longest, layout.keyLength(s));
    }
    return longest;
  }

  private static RotaryTable table(
      Device device,
      MemoryScope scope,
      ModelConfig config,
      int positions,
      int length,
      DType dtype) {
    return upload(device, scope, config, angles(config, positions, length), dtype);
  }

  /**
   * Cosines and sines of {@code position * inverse frequency}, times the attention factor.
   *
   * <p>The angle is rounded to F32 before the cosine, as in transformers.
   */
  private static Angles angles(ModelConfig config, int positions, int length) {
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
    return new Angles(length, positions, inverse.length, cosine, sine);
  }

  private static RotaryTable upload(
      Device device, MemoryScope scope, ModelConfig config, Angles angles, DType dtype) {
    return new RotaryTable(
        HostTransfer.upload(device, scope, "rotary cosine", angles.cosine(), dtype)
            .reshape(angles.positions(), angles.frequencies()),
        HostTransfer.upload(device, scope, "rotary sine", angles.sine(), dtype)
            .reshape(angles.positions(), angles.frequencies()),
        config.family().positions() == ModelFamily.PositionKind.INTERLEAVED_ROTARY);
  }
}
