package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
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
    Tensor rstd =
        norm == null
            ? null
            : tape.allocate(
                "head rstd",
                qkv.dtype().accumulator(),
                tokens,
                geometry.queryHeads() + geometry.keyValueHeads());
    tape.backend()
        .splitHeadsForward(
            qkv,
            geometry,
            rotation.positions(),
            rotation.table(),
            norm == null ? null : norm.values(),
            q,
            k,
            v,
            rstd);
    Heads heads = new Heads(q, k, v);
    boolean saved = tape.isRecording() && norm != null;
    if (tape.isRecording()) {
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

  @Override
  public void backward(Tape tape) {
    Tensor dq = tape.takeGradient(heads.q());
    Tensor dk = tape.takeGradient(heads.k());
    Tensor dv = tape.takeGradient(heads.v());
    Tensor dqkv =
        tape.allocate("dqkv", dq.dtype(), dq.shape().extent(0), rotation.geometry().fusedColumns());
    Tensor dQuery =
        norm == null || !norm.query().isTrained() ? null : norm.query().beginGradient(tape);
    Tensor dKey = norm == null || !norm.key().isTrained() ? null : norm.key().beginGradient(tape);
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
