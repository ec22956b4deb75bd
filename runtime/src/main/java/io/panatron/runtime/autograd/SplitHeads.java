package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Splits a fused query/key/value projection into heads, normalises query and key heads (Qwen3) and
 * rotates them by their positions.
 *
 * <p><b>Shapes</b>: qkv: [tokens, fused columns]; positions: [tokens] I32; q: [tokens, query heads,
 * head dim]; k, v: [tokens, key heads, head dim].
 *
 * @param qkv saved only when heads are normalised: the rotation alone needs no input
 */
public record SplitHeads(
    Tensor qkv, Rotation rotation, @Nullable Norm norm, @Nullable Tensor rstd, Heads heads)
    implements Op {

  /** Where the tokens stand and how heads turn; borrowed until backward. */
  public record Rotation(HeadGeometry geometry, Tensor positions, RotaryTable table) {}

  /** Weights of the norms on query and key heads. */
  public record Norm(Parameter query, Parameter key, double epsilon) {
    Backend.HeadNorm values() {
      return new Backend.HeadNorm(query.value(), key.value(), epsilon);
    }
  }

  /** The three outputs. */
  public record Heads(Tensor q, Tensor k, Tensor v) {}

  public static Heads forward(Tape tape, Tensor qkv, Rotation rotation, @Nullable Norm norm) {
    HeadGeometry geometry = rotation.geometry();
    long tokens = qkv.shape().rows();
    int headDim = geometry.headDim();
    Tensor q = tape.allocate("query", qkv.dtype(), tokens, geometry.queryHeads(), headDim);
    Tensor k = tape.allocate("key", qkv.dtype(), tokens, geometry.keyValueHeads(), headDim);
    Tensor v = tape.allocate("value", qkv.dtype(), tokens, geometry.keyValueHeads(), headDim);
    Tensor rstd = norm == null ? null : allocateRstd(tape, qkv, geometry);
    Heads heads = new Heads(q, k, v);
    split(tape, qkv, rotation, norm, heads, rstd);
    boolean trained = norm != null && (norm.query().isTrained() || norm.key().isTrained());
    boolean recorded = tape.records(trained || !tape.isConstant(qkv), q, k, v);
    boolean saved = recorded && norm != null;
    if (recorded) {
      tape.record(new SplitHeads(qkv, rotation, norm, rstd, heads));
    }
    if (!saved) {
      tape.release(qkv);
      if (rstd != null) {
        tape.release(rstd);
      }
    }
    return heads;
  }

  private static Tensor allocateRstd(Tape tape, Tensor qkv, HeadGeometry geometry) {
    return tape.allocate(
        "head rstd",
        qkv.dtype().accumulator(),
        qkv.shape().rows(),
        geometry.queryHeads() + geometry.keyValueHeads());
  }

  private static void split(
      Tape tape,
      Tensor qkv,
      Rotation rotation,
      @Nullable Norm norm,
      Heads heads,
      @Nullable Tensor rstd) {
    tape.backend()
        .splitHeadsForward(
            qkv,
            rotation.geometry(),
            rotation.positions(),
            rotation.table(),
            norm == null ? null : norm.values(),
            heads.q(),
            heads.k(),
            heads.v(),
            rstd);
  }

  /**
   * Lets backward split the heads again from the projection, which a head norm keeps anyway; to be
   * called when attention over them has taken place.
   */
  public static void discardHeads(
      Tape tape, Tensor qkv, Rotation rotation, Norm norm, Heads heads) {
    if (tape.isConstant(heads.q())) {
      return;
    }
    DiscardOutputs.forward(
        tape,
        List.of(heads.q(), heads.k(), heads.v()),
        later -> {
          Tensor rstd = allocateRstd(later, qkv, rotation.geometry());
          split(later, qkv, rotation, norm, heads, rstd);
          later.release(rstd);
        });
  }

  @Override
  public void backward(Tape tape) {
    Tensor dq = tape.takeGradient(heads.q());
    Tensor dk = tape.takeGradient(heads.k());
    Tensor dv = tape.takeGradient(heads.v());
    Tensor dqkv =
        tape.allocate("dqkv", dq.dtype(), dq.shape().extent(0), rotation.geometry().fusedColumns());
    Tensor dQuery = norm == null ? null : norm.query().beginGradientIfTrained(tape);
    Tensor dKey = norm == null ? null : norm.key().beginGradientIfTrained(tape);
    tape.backend()
        .splitHeadsBackward(
            tape.scope(),
            norm == null ? null : qkv,
            rotation.geometry(),
            rotation.positions(),
            rotation.table(),
            norm == null ? null : norm.values(),
            rstd,
            dq,
            dk,
            dv,
            dqkv,
            dQuery,
            dKey);
    if (norm != null && dQuery != null) {
      norm.query().endGradient(tape, dQuery);
    }
    if (norm != null && dKey != null) {
      norm.key().endGradient(tape, dKey);
    }
    tape.release(dq);
    tape.release(dk);
    tape.release(dv);
    if (norm != null) {
      tape.release(qkv);
    }
    if (rstd != null) {
      tape.release(rstd);
    }
    tape.giveGradient(qkv, dqkv);
  }
}
