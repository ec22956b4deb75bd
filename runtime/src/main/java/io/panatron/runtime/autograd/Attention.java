package io.panatron.runtime.autograd;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Causal grouped-query attention over packed sequences, without stored scores.
 *
 * <p><b>Shapes</b>: q: [queries, query heads, head dim]; k, v: [keys, key heads, head dim]; out:
 * [queries, query heads x head dim]; logSumExp: [queries, query heads].
 *
 * @param q saved, as are {@code k}, {@code v}, {@code out} and {@code logSumExp}
 * @param mask which probabilities are dropped, or null for none
 */
public record Attention(
    Tensor q,
    Tensor k,
    Tensor v,
    AttentionLayout layout,
    double scale,
    @Nullable DropoutMask mask,
    Tensor out,
    Tensor logSumExp)
    implements Op {

  public static Tensor forward(
      Tape tape,
      SplitHeads.Heads heads,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask) {
    Tensor q = heads.q();
    long queries = q.shape().extent(0);
    Tensor out =
        tape.allocate("attention", q.dtype(), queries, q.shape().elements() / Math.max(queries, 1));
    Tensor logSumExp =
        tape.allocate(
            "logSumExp", q.dtype().accumulator(), q.shape().extent(0), q.shape().extent(1));
    tape.backend()
        .attentionForward(
            tape.scope(),
            q,
            heads.k(),
            heads.v(),
            layout,
            scale,
            mask,
            out.reshape(q.shape().toArray()),
            logSumExp);
    boolean constant =
        tape.isConstant(q) && tape.isConstant(heads.k()) && tape.isConstant(heads.v());
    if (tape.records(!constant, out)) {
      tape.record(
          new Attention(q, heads.k(), heads.v(), layout, scale, mask, tape.retain(out), logSumExp));
    } else {
      tape.release(q);
      tape.release(heads.k());
      tape.release(heads.v());
      tape.release(logSumExp);
    }
    return out;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dOut = tape.takeGradient(out);
    Tensor dq = tape.scope().allocate("dq", dOut.dtype(), q.shape());
    Tensor dk = tape.scope().allocate("dk", dOut.dtype(), k.shape());
    Tensor dv = tape.scope().allocate("dv", dOut.dtype(), v.shape());
    tape.backend()
        .attentionBackward(
            tape.scope(),
            q,
            k,
            v,
            out.reshape(q.shape().toArray()),
            logSumExp,
            dOut.reshape(q.shape().toArray()),
            layout,
            scale,
            mask,
            dq,
            dk,
            dv);
    tape.release(dOut);
    tape.release(out);
    tape.release(logSumExp);
    tape.release(q);
    tape.release(k);
    tape.release(v);
    tape.giveGradient(q, dq);
    tape.giveGradient(k, dk);
    tape.giveGradient(v, dv);
  }
}
