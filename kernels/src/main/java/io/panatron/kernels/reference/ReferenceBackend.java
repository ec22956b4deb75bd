package io.panatron.kernels.reference;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.OperationShapes;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.StoredShapes;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.host.HostDevice;
import java.util.EnumSet;
import org.jspecify.annotations.Nullable;

/**
 * The backend to which all others are compared: it checks shapes and hands each operation to the
 * class that holds its formulas.
 *
 * <p>Stores F64, F32, BF16 or F16 and computes in double, in plain sequential loops. Outputs may
 * alias inputs everywhere, which no other backend promises.
 */
public final class ReferenceBackend implements Backend {
  private final OperationShapes shapes =
      new OperationShapes(EnumSet.of(DType.F64, DType.F32, DType.BF16, DType.F16));
  private final Device device;

  public ReferenceBackend() {
    this(new HostDevice("reference (plain loops, one thread)"));
  }

  /**
   * Computes in the memory of {@code device}, which must be a {@link HostDevice}; closes it in the
   * end.
   */
  public ReferenceBackend(Device device) {
    this.device = device;
  }

  @Override
  public Device device() {
    return device;
  }

  @Override
  public boolean computesIn(DType dtype) {
    return shapes.computesIn(dtype);
  }

  @Override
  public void fill(Tensor x, double value) {
    shapes.elementwise("fill", x);
    ReferenceElementwise.fill(x, value);
  }

  @Override
  public void copy(Tensor from, Tensor to) {
    shapes.copy(from, to);
    ReferenceElementwise.copy(from, to);
  }

  @Override
  public void add(Tensor x, Tensor into) {
    shapes.add(x, into);
    ReferenceElementwise.add(x, into);
  }

  @Override
  public void scale(Tensor x, double factor) {
    shapes.elementwise("scale", x);
    ReferenceElementwise.scale(x, factor);
  }

  @Override
  public double sumOfSquares(Tensor x) {
    shapes.elementwise("sumOfSquares", x);
    return ReferenceElementwise.sumOfSquares(x);
  }

  @Override
  public void dropout(Tensor x, DropoutMask mask, Tensor y) {
    shapes.dropout(x, y);
    ReferenceDropout.dropout(x, mask, y);
  }

  @Override
  public void linearForward(
      MemoryScope scratch, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    shapes.linearForward(x, weight, bias, y);
    ReferenceLinear.forward(x, weight, bias, y);
  }

  @Override
  public void linearBackwardInput(MemoryScope scratch, Tensor dy, Tensor weight, Tensor dx) {
    shapes.linearBackwardInput(dy, weight, dx);
    ReferenceLinear.backwardInput(dy, weight, dx);
  }

  @Override
  public void linearBackwardWeight(
      MemoryScope scratch, Tensor x, Tensor dy, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    shapes.linearBackwardWeight(x, dy, dWeight, dBias);
    ReferenceLinear.backwardWeight(x, dy, dWeight, dBias);
  }

  @Override
  public void lowRankForward(
      MemoryScope scratch, Tensor x, LowRank adapter, double scale, Tensor h) {
    shapes.lowRank().lowRankForward(x, adapter, h);
    ReferenceLowRank.lowRankForward(x, adapter, scale, h);
  }

  @Override
  public void adaptedLinearForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      @Nullable Tensor bias,
      Tensor h,
      LowRank adapter,
      Tensor y) {
    shapes.lowRank().adaptedLinearForward(x, weight, bias, h, adapter, y);
    ReferenceLowRank.forward(x, weight, bias, h, adapter, y);
  }

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
      Tensor dUp) {
    shapes.lowRank().lowRankBackward(x, h, dy, adapter, g, dDown, dUp);
    ReferenceLowRank.lowRankBackward(x, h, dy, adapter, scale, g, dDown, dUp);
  }

  @Override
  public void adaptedLinearBackwardInput(
      MemoryScope scratch,
      Tensor dy,
      Tensor weight,
      Tensor g,
      LowRank adapter,
      @Nullable DropoutMask mask,
      Tensor dx) {
    shapes.lowRank().adaptedLinearBackwardInput(dy, weight, g, adapter, dx);
    ReferenceLowRank.backwardInput(dy, weight, g, adapter, mask, dx);
  }

  @Override
  public void embeddingForward(Tensor ids, Tensor table, Tensor y) {
    shapes.embeddingForward(ids, table, y);
    ReferenceEmbedding.forward(ids, table, y);
  }

  @Override
  public void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable) {
    shapes.embeddingBackward(ids, dy, dTable);
    ReferenceEmbedding.backward(ids, dy, dTable);
  }

  @Override
  public void partialEmbeddingForward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {
    shapes.partialEmbeddingForward(ids, table, part, y);
    ReferenceEmbedding.forward(ids, table, part, y);
  }

  @Override
  public void partialEmbeddingBackward(
      MemoryScope scratch, Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {
    shapes.partialEmbeddingBackward(ids, dy, part, dTable);
    ReferenceEmbedding.backward(ids, dy, part, dTable);
  }

  @Override
  public void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    shapes.addRmsNormForward(x, delta, weight, sum, y, rstd);
    ReferenceRmsNorm.forward(x, delta, weight, epsilon, sum, y, rstd);
  }

  @Override
  public void addRmsNormBackward(
      MemoryScope scratch,
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight) {
    shapes.addRmsNormBackward(sum, weight, rstd, dy, dSum, dx, dWeight);
    ReferenceRmsNorm.backward(sum, weight, rstd, dy, dSum, dx, dWeight);
  }

  @Override
  public void addLayerNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
      double epsilon,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    shapes.addLayerNormForward(x, delta, weight, bias, sum, y, rstd);
    ReferenceLayerNorm.forward(x, delta, weight, bias, epsilon, sum, y, rstd);
  }

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
      @Nullable Tensor dBias) {
    shapes.addLayerNormBackward(sum, weight, rstd, dy, dSum, dx, dWeight, dBias);
    ReferenceLayerNorm.backward(sum, weight, rstd, dy, dSum, dx, dWeight, dBias);
  }

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
      @Nullable Tensor rstd) {
    shapes.splitHeadsForward(qkv, geometry, positions, rotary, norm, q, k, v, rstd);
    ReferenceSplitHeads.forward(qkv, geometry, positions, rotary, norm, q, k, v, rstd);
  }

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
      @Nullable Tensor dKeyWeight) {
    shapes.splitHeadsBackward(
        qkv, geometry, positions, rotary, norm, rstd, dq, dk, dv, dqkv, dQueryWeight, dKeyWeight);
    ReferenceSplitHeads.backward(
        qkv, geometry, positions, rotary, norm, rstd, dq, dk, dv, dqkv, dQueryWeight, dKeyWeight);
  }

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
      Tensor logSumExp) {
    shapes.attentionForward(q, k, v, layout, out, logSumExp);
    ReferenceAttention.forward(q, k, v, layout, scale, mask, out, logSumExp);
  }

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
      Tensor dv) {
    shapes.attentionBackward(q, k, v, out, logSumExp, dOut, layout, dq, dk, dv);
    ReferenceAttention.backward(q, k, v, out, logSumExp, dOut, layout, scale, mask, dq, dk, dv);
  }

  @Override
  public void swigluForward(Tensor gateUp, Tensor y) {
    shapes.swigluForward(gateUp, y);
    ReferenceSwiglu.forward(gateUp, y);
  }

  @Override
  public void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    shapes.swigluBackward(gateUp, dy, dGateUp);
    ReferenceSwiglu.backward(gateUp, dy, dGateUp);
  }

  @Override
  public void activationForward(Activation activation, Tensor x, Tensor y) {
    shapes.activationForward(x, y);
    ReferenceActivation.forward(activation, x, y);
  }

  @Override
  public void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    shapes.activationBackward(x, dy, dx);
    ReferenceActivation.backward(activation, x, dy, dx);
  }

  @Override
  public void linearCrossEntropyForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {
    shapes.linearCrossEntropyForward(x, weight, labels, losses, logSumExp);
    ReferenceLinearCrossEntropy.forward(x, weight, labels, losses, logSumExp);
  }

  @Override
  public void linearCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    shapes.linearCrossEntropyBackward(x, weight, labels, logSumExp, dLosses, dx, dWeight);
    ReferenceLinearCrossEntropy.backward(x, weight, labels, logSumExp, dLosses, dx, dWeight);
  }

  @Override
  public void linearCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    shapes.linearCrossEntropyForwardBackward(x, weight, labels, dLosses, losses, dx, dWeight);
    ReferenceLinearCrossEntropy.forwardBackward(x, weight, labels, dLosses, losses, dx, dWeight);
  }

  @Override
  public void linearDftForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    shapes.crossEntropyAtOnce(
        "linearDftForwardBackward", x, weight, labels, dLosses, losses, dx, dWeight);
    ReferenceLinearCrossEntropy.dftForwardBackward(x, weight, labels, dLosses, losses, dx, dWeight);
  }

  @Override
  public void partialCrossEntropyForward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      VocabularyPart part,
      Tensor labels,
      Tensor losses,
      Tensor logSumExp) {
    shapes.linearCrossEntropyForward(x, weight, labels, losses, logSumExp);
    shapes.partialRows("partialCrossEntropyForward", "weight", weight, part);
    ReferencePartialCrossEntropy.forward(scratch, x, weight, part, labels, losses, logSumExp);
  }

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
      Tensor dWeight) {
    shapes.linearCrossEntropyBackward(x, weight, labels, logSumExp, dLosses, dx, dWeight);
    shapes.partialRows("partialCrossEntropyBackward", "weight", weight, part);
    ReferencePartialCrossEntropy.backward(x, weight, part, labels, logSumExp, dLosses, dx, dWeight);
  }

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
      Tensor dWeight) {
    String operation = "partialCrossEntropyForwardBackward";
    shapes.crossEntropyAtOnce(operation, x, weight, labels, dLosses, losses, dx, dWeight);
    shapes.partialRows(operation, "weight", weight, part);
    ReferencePartialCrossEntropy.forwardBackward(
        scratch, x, weight, part, labels, dLosses, dft, losses, dx, dWeight);
  }

  @Override
  public void adamW(
      AdamWStep step,
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model) {
    shapes.adamW(parameter, gradient, firstMoment, secondMoment, model);
    ReferenceOptimizer.adamW(step, parameter, gradient, firstMoment, secondMoment, model);
  }

  @Override
  public void adamWStored(
      AdamWStep step,
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model) {
    StoredShapes.adamW(parameter, gradient, firstMoment, secondMoment, model);
    ReferenceStoredAdamW.adamW(step, parameter, gradient, firstMoment, secondMoment, model);
  }

  @Override
  public void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    shapes.sgd(parameter, gradient, momentum, model);
    ReferenceOptimizer.sgd(step, parameter, gradient, momentum, model);
  }

  @Override
  public void close() {
    device.close();
  }
}
