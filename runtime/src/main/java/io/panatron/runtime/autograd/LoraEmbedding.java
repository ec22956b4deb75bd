package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.Tensor;

/**
 * An embedding whose table is frozen, and an adapter beside it: {@code y[t] = table[ids[t]] + scale
 * down[ids[t]] up^T}.
 *
 * <p><b>Shapes</b>: ids: [tokens] I32; table: [vocab, hidden]; down: [vocab, rank]; up: [hidden,
 * rank]; h: [tokens, rank]; y: [tokens, hidden].
 *
 * @param ids borrowed; must stay valid until backward
 * @param h saved: {@code scale down[ids[t]]}
 */
public record LoraEmbedding(
    Tensor ids, Parameter down, Parameter up, double scale, Tensor h, Tensor y) implements Op {

  public static Tensor forward(
      Tape tape, Tensor ids, Parameter table, Parameter down, Parameter up, double scale) {
    Backend backend = tape.backend();
    long tokens = ids.elements();
    Tensor h = tape.allocate(down.name(), down.value().dtype(), tokens, down.shape().columns());
    backend.embeddingForward(ids, down.value(), h);
    backend.scale(h, scale);
    Tensor y = tape.allocate("embedding", h.dtype(), tokens, table.shape().columns());
    backend.linearForward(tape.scope(), h, up.value(), null, y);
    Tensor rows = tape.scope().allocate("embedding rows", y.dtype(), y.shape());
    backend.embeddingForward(ids, table.value(), rows);
    backend.add(rows, y);
    tape.release(rows);
    if (tape.records(down.isTrained(), y)) {
      tape.record(new LoraEmbedding(ids, down, up, scale, h, y));
    } else {
      tape.release(h);
    }
    return y;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    Backend backend = tape.backend();
    Tensor dUp = up.beginGradient(tape);
    backend.linearBackwardWeight(tape.scope(), h, dy, dUp, null);
    up.endGradient(tape, dUp);
    tape.release(h);
    Tensor g = tape.scope().allocate(down.name() + " g", h.dtype(), h.shape());
    backend.linearBackwardInput(tape.scope(), dy, up.value(), g);
    tape.release(dy);
    backend.scale(g, scale);
    Tensor dDown = down.beginGradient(tape);
    backend.embeddingBackward(tape.scope(), ids, g, dDown);
    down.endGradient(tape, dDown);
    tape.release(g);
  }
}
