package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer whose weight is frozen, and an adapter beside it: {@code y = x weight^T + bias +
 * scale dropout(x) down^T up^T}, the last product block by block.
 *
 * <p><b>Shapes</b>: x: [tokens, in]; weight: [out, in]; bias: [out]; h: [tokens, blocks x rank]; y:
 * [tokens, out]. Source: Hu et al., "LoRA", section 4.1.
 *
 * <p>What dropout keeps of {@code x} is computed again in backward rather than saved.
 *
 * @param x saved
 * @param mask of the adapter's input, or null for none
 * @param h saved: {@code scale dropout(x) down^T}
 */
public record LoraLinear(
    Tensor x,
    Parameter weight,
    @Nullable Parameter bias,
    Adapter adapter,
    @Nullable DropoutMask mask,
    Tensor h,
    Tensor y)
    implements Op {
  public LoraLinear {
    if (weight.isTrained()) {
      throw new IllegalArgumentException(weight.name() + " is trained and has an adapter");
    }
  }

  public static Tensor forward(
      Tape tape,
      Tensor x,
      Parameter weight,
      @Nullable Parameter bias,
      Adapter adapter,
      @Nullable DropoutMask mask) {
    LowRank lowRank = adapter.values();
    long tokens = x.shape().rows();
    Tensor h = tape.allocate(adapter.down().name(), x.dtype(), tokens, lowRank.width());
    Tensor dropped = dropped(tape, x, mask);
    tape.backend().lowRankForward(tape.scope(), dropped, lowRank, adapter.scale(), h);
    if (mask != null) {
      tape.release(dropped);
    }
    Tensor y = tape.allocate(weight.name(), x.dtype(), tokens, weight.shape().extent(0));
    Backend backend = tape.backend();
    MemoryScope scope = tape.scope();
    Tensor addend = bias == null ? null : bias.value();
    boolean needed = adapter.isTrained() || (bias != null && bias.isTrained());
    tape.computeWhenNeeded(
        () -> backend.adaptedLinearForward(scope, x, weight.value(), addend, h, lowRank, y));
    if (tape.records(needed || !tape.isConstant(x), y)) {
      tape.record(new LoraLinear(x, weight, bias, adapter, mask, h, y));
    } else {
      tape.computeDeferred();
      tape.release(x);
      tape.release(h);
    }
    return y;
  }

  private static Tensor dropped(Tape tape, Tensor x, @Nullable DropoutMask mask) {
    if (mask == null) {
      return x;
    }
    Tensor dropped = tape.scope().allocate("adapter dropout", x.dtype(), x.shape());
    tape.backend().dropout(x, mask, dropped);
    return dropped;
  }

  @Override
  public void backward(Tape tape) {
    Tensor dy = tape.takeGradient(y);
    if (bias != null && bias.isTrained()) {
      Tensor dBias = bias.beginGradient(tape);
      tape.backend().linearBackwardWeight(tape.scope(), x, dy, null, dBias);
      bias.endGradient(tape, dBias);
    }
    Tensor g = adapterGradients(tape, dy);
    tape.release(h);
    tape.release(x);
    if (!tape.isConstant(x)) {
      Tensor dx = tape.scope().allocate(weight.name() + " dx", dy.dtype(), x.shape());
      tape.backend()
          .adaptedLinearBackwardInput(
              tape.scope(), dy, weight.value(), g, adapter.values(), mask, dx);
      tape.giveGradient(x, dx);
    }
    tape.release(g);
    tape.release(dy);
  }

  private Tensor adapterGradients(Tape tape, Tensor dy) {
    Tensor g = tape.scope().allocate(adapter.up().name() + " g", h.dtype(), h.shape());
    Tensor dropped = dropped(tape, x, mask);
    Tensor dDown = adapter.down().beginGradient(tape);
    Tensor dUp = adapter.up().beginGradient(tape);
    tape.backend()
        .lowRankBackward(
            tape.scope(), dropped, h, dy, adapter.values(), adapter.scale(), g, dDown, dUp);
    adapter.down().endGradient(tape, dDown);
    adapter.up().endGradient(tape, dUp);
    if (mask != null) {
      tape.release(dropped);
    }
    return g;
  }
}
