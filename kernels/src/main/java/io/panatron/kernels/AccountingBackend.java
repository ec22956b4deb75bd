package io.panatron.kernels;

import java.lang.foreign.MemorySegment;
import org.jspecify.annotations.Nullable;

/**
 * A backend that computes nothing on a device that has no memory: what runs on it allocates and
 * releases as it would elsewhere, so that the peak of a pass can be known before it takes place.
 *
 * <p>Scratch memory is not counted, since each backend has its own. Values read back are zeros.
 */
public final class AccountingBackend implements Backend {
  private final Device device = new AccountingDevice();

  @Override
  public Device device() {
    return device;
  }

  @Override
  public boolean computesIn(DType dtype) {
    return true;
  }

  @Override
  public void fill(Tensor x, double value) {}

  @Override
  public void copy(Tensor from, Tensor to) {}

  @Override
  public void add(Tensor x, Tensor into) {}

  @Override
  public void scale(Tensor x, double factor) {}

  @Override
  public double sumOfSquares(Tensor x) {
    return 0;
  }

  @Override
  public void linearForward(
      MemoryScope scratch, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {}

  @Override
  public void linearBackwardInput(MemoryScope scratch, Tensor dy, Tensor weight, Tensor dx) {}

  @Override
  public void linearBackwardWeight(
      MemoryScope scratch, Tensor x, Tensor dy, @Nullable Tensor dWeight, @Nullable Tensor dBias) {}

  @Override
  public void lowRankForward(
      MemoryScope scratch, Tensor x, LowRank adapter, double scale, Tensor h) {}

  @Override
  public void adaptedLinearForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      @Nullable Tensor bias,
      Tensor h,
      LowRank adapter,
      Tensor y) {}

  @Override
  public void lowRankBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor h,
      Tensor dy,
      LowRank adapter,
      double scale,
      Tensor g,
      Tensor dDown,
      Tensor dUp) {}

  @Override
  public void adaptedLinearBackwardInput(
      MemoryScope scratch,
      Tensor dy,
      Tensor weight,
      Tensor g,
      LowRank adapter,
      @Nullable DropoutMask mask,
      Tensor dx) {}

  @Override
  public void embeddingForward(Tensor ids, Tensor table, Tensor y) {}

  @Override
  public void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable) {}

  @Override
  public void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {}

  @Override
  public void addRmsNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight) {}

  @Override
  public void addLayerNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {}

  @Override
  public void addLayerNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias) {}

  @Override
  public void activationForward(Activation activation, Tensor x, Tensor y) {}

  @Override
  public void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {}

  @Override
  public void splitHeadsForward(
      Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor rstd) {}

  @Override
  public void splitHeadsBackward(
      MemoryScope scratch,
      @Nullable Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      @Nullable Tensor rstd,
      Tensor dq,
      Tensor dk,
      Tensor dv,
      Tensor dqkv,
      @Nullable Tensor dQueryWeight,
      @Nullable Tensor dKeyWeight) {}

  @Override
  public void dropout(Tensor x, DropoutMask mask, Tensor y) {}

  @Override
  public void attentionForward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor out,
      Tensor logSumExp) {}

  @Override
  public void attentionBackward(
      MemoryScope scratch,
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      Tensor dOut,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor dq,
      Tensor dk,
      Tensor dv) {}

  @Override
  public void swigluForward(Tensor gateUp, Tensor y) {}

  @Override
  public void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {}

  @Override
  public void linearCrossEntropyForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {}

  @Override
  public void linearCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {}

  @Override
  public void linearCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {}

  @Override
  public void linearDftForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {}

  @Override
  public void partialEmbeddingForward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {}

  @Override
  public void partialEmbeddingBackward(
      MemoryScope scratch, Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {}

  @Override
  public void partialCrossEntropyForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {}

  @Override
  public void partialCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      Tensor dx,
      Tensor dWeight) {}

  @Override
  public void partialCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor dLosses,
      boolean dft,
      Tensor losses,
      Tensor dx,
      Tensor dWeight) {}

  @Override
  public void adamW(
      AdamWStep step,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model) {}

  @Override
  public void adamWStored(
      AdamWStep step,
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model) {}

  @Override
  public void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {}

  @Override
  public void close() {}

  /** Hands out address ranges that stand for no memory. */
  private static final class AccountingDevice implements Device {
    /** A place of no memory. */
    private static final class Range extends DeviceMemory {
      Range(long address, long bytes) {
        super(address, bytes);
      }
    }

    private long next;

    @Override
    public String describe() {
      return "accounting";
    }

    @Override
    public DeviceMemory allocate(long bytes) {
      Range range = new Range(next, bytes);
      next += bytes;
      return range;
    }

    @Override
    public void free(DeviceMemory memory) {}

    @Override
    public void upload(MemorySegment from, Tensor to) {}

    @Override
    public void download(Tensor from, MemorySegment to) {
      to.asSlice(0, from.bytes()).fill((byte) 0);
    }

    @Override
    public void close() {}
  }
}
