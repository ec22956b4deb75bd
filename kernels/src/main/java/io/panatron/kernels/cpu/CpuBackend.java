package io.panatron.kernels.cpu;

import io.panatron.kernels.Activation;
import io.panatron.kernels.AdamWStep;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.OperationShapes;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.SgdStep;
import io.panatron.kernels.StoredShapes;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.Workload;
import io.panatron.kernels.host.HostDevice;
import java.nio.file.Path;
import java.util.EnumSet;
import org.jspecify.annotations.Nullable;

/**
 * The CPU: checks shapes and hands each operation to the class that holds its kernels.
 *
 * <p>Computes in F32, BF16 and F16 with F32 sums. Matrix products are oneDNN's, everything else is
 * vectorised here; all of it runs on one pool of worker threads.
 */
public final class CpuBackend implements Backend {
  private final OperationShapes shapes =
      new OperationShapes(EnumSet.of(DType.F32, DType.BF16, DType.F16));
  private final CpuWorkers workers;
  private final Device device;
  private final CpuElementwise elementwise;
  private final @Nullable EarlyCompilation earlyCompilation;
  private final CpuReduction reduction;
  private final CpuDropout dropout;
  private final CpuLinear linear;
  private final CpuEmbedding embedding;
  private final CpuRmsNorm rmsNorm;
  private final CpuLayerNorm layerNorm;
  private final CpuSplitHeads splitHeads;
  private final CpuAttention attention;
  private final CpuAttentionBackward attentionBackward;
  private final CpuSwiglu swiglu;
  private final CpuActivation activations;
  private final CpuLinearCrossEntropy crossEntropy;
  private final CpuOptimizer optimizer;
  private final CpuStoredAdamW storedAdamW;

  /**
   * Starts the workers and loads oneDNN.
   *
   * @param threads how many work on an operation, the calling one included
   * @param cacheFolder where unpacked native libraries are kept, or null for none
   */
  public CpuBackend(int threads, @Nullable Path cacheFolder) {
    this(threads, cacheFolder, null);
  }

  private CpuBackend(
      int threads, @Nullable Path cacheFolder, @Nullable EarlyCompilation earlyCompilation) {
    this.earlyCompilation = earlyCompilation;
    workers = new CpuWorkers(threads, cacheFolder, MatmulEngine.HalfProducts.DETECTED);
    device = new HostDevice("cpu (%d threads, %s)".formatted(threads, workers.engine().describe()));
    elementwise = new CpuElementwise(workers.pool());
    reduction = new CpuReduction(workers.pool());
    dropout = new CpuDropout(workers.pool());
    linear = new CpuLinear(workers);
    embedding = new CpuEmbedding(workers.pool());
    rmsNorm = new CpuRmsNorm(workers.pool());
    layerNorm = new CpuLayerNorm(workers.pool());
    splitHeads = new CpuSplitHeads(workers.pool());
    attention = new CpuAttention(workers);
    attentionBackward = new CpuAttentionBackward(workers);
    swiglu = new CpuSwiglu(workers.pool());
    activations = new CpuActivation(workers.pool());
    crossEntropy = new CpuLinearCrossEntropy(workers);
    optimizer = new CpuOptimizer(workers.pool());
    storedAdamW = new CpuStoredAdamW(workers.pool());
  }

  /** The same, with the vector loops of a workload compiled beside what the caller does next. */
  public static CpuBackend compilingEarly(
      int threads, @Nullable Path cacheFolder, Workload workload) {
    EarlyCompilation early = new EarlyCompilation(workload);
    try {
      return new CpuBackend(threads, cacheFolder, early);
    } catch (RuntimeException e) {
      early.close();
      throw e;
    }
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
    elementwise.fill(x, value);
  }

  @Override
  public void copy(Tensor from, Tensor to) {
    shapes.copy(from, to);
    elementwise.copy(from, to);
  }

  @Override
  public void add(Tensor x, Tensor into) {
    shapes.add(x, into);
    elementwise.add(x, into);
  }

  @Override
  public void scale(Tensor x, double factor) {
    shapes.elementwise("scale", x);
    elementwise.scale(x, factor);
  }

  @Override
  public double sumOfSquares(Tensor x) {
    shapes.elementwise("sumOfSquares", x);
    return reduction.sumOfSquares(x);
  }

  @Override
  public void dropout(Tensor x, DropoutMask mask, Tensor y) {
    shapes.dropout(x, y);
    dropout.dropout(x, mask, y);
  }

  @Override
  public void linearForward(
      MemoryScope scratch, Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    shapes.linearForward(x, weight, bias, y);
    linear.forward(scratch, x, weight, bias, y);
  }

  @Override
  public void linearBackwardInput(MemoryScope scratch, Tensor dy, Tensor weight, Tensor dx) {
    shapes.linearBackwardInput(dy, weight, dx);
    linear.backwardInput(scratch, dy, weight, dx);
  }

  @Override
  public void linearBackwardWeight(
      MemoryScope scratch, Tensor x, Tensor dy, Tensor dWeight, @Nullable Tensor dBias) {
    shapes.linearBackwardWeight(x, dy, dWeight, dBias);
    linear.backwardWeight(scratch, x, dy, dWeight, dBias);
  }

  @Override
  public void embeddingForward(Tensor ids, Tensor table, Tensor y) {
    shapes.embeddingForward(ids, table, y);
    embedding.embeddingForward(ids, table, y);
  }

  @Override
  public void embeddingBackward(MemoryScope scratch, Tensor ids, Tensor dy, Tensor dTable) {
    shapes.embeddingBackward(ids, dy, dTable);
    embedding.embeddingBackward(scratch, ids, dy, dTable);
  }

  @Override
  public void partialEmbeddingForward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {
    shapes.partialEmbeddingForward(ids, table, part, y);
    embedding.forward(ids, table, part, y);
  }

  @Override
  public void partialEmbeddingBackward(
      MemoryScope scratch, Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {
    shapes.partialEmbeddingBackward(ids, dy, part, dTable);
    embedding.backward(ids, dy, part, dTable);
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
    rmsNorm.addRmsNormForward(x, delta, weight, epsilon, sum, y, rstd);
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
      Tensor dWeight) {
    shapes.addRmsNormBackward(sum, weight, rstd, dy, dSum, dx, dWeight);
    rmsNorm.addRmsNormBackward(scratch, sum, weight, rstd, dy, dSum, dx, dWeight);
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
    layerNorm.addLayerNormForward(x, delta, weight, bias, epsilon, sum, y, rstd);
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
      Tensor dWeight,
      Tensor dBias) {
    shapes.addLayerNormBackward(sum, weight, rstd, dy, dSum, dx, dWeight, dBias);
    layerNorm.addLayerNormBackward(scratch, sum, weight, rstd, dy, dSum, dx, dWeight, dBias);
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
    splitHeads.splitHeadsForward(qkv, geometry, positions, rotary, norm, q, k, v, rstd);
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
    splitHeads.splitHeadsBackward(
        scratch,
        qkv,
        geometry,
        positions,
        rotary,
        norm,
        rstd,
        dq,
        dk,
        dv,
        dqkv,
        dQueryWeight,
        dKeyWeight);
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
    attention.forward(scratch, q, k, v, layout, scale, mask, out, logSumExp);
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
    attentionBackward.backward(
        scratch, q, k, v, out, logSumExp, dOut, layout, scale, mask, dq, dk, dv);
  }

  @Override
  public void swigluForward(Tensor gateUp, Tensor y) {
    shapes.swigluForward(gateUp, y);
    swiglu.swigluForward(gateUp, y);
  }

  @Override
  public void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    shapes.swigluBackward(gateUp, dy, dGateUp);
    swiglu.swigluBackward(gateUp, dy, dGateUp);
  }

  @Override
  public void activationForward(Activation activation, Tensor x, Tensor y) {
    shapes.activationForward(x, y);
    activations.forward(activation, x, y);
  }

  @Override
  public void activationBackward(Activation activation, Tensor x, Tensor dy, Tensor dx) {
    shapes.activationBackward(x, dy, dx);
    activations.backward(activation, x, dy, dx);
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
    crossEntropy.forward(scratch, x, weight, labels, losses, logSumExp);
  }

  @Override
  public void linearCrossEntropyBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      Tensor dx,
      Tensor dWeight) {
    shapes.linearCrossEntropyBackward(x, weight, labels, logSumExp, dLosses, dx, dWeight);
    crossEntropy.backward(scratch, x, weight, labels, logSumExp, dLosses, dx, dWeight);
  }

  @Override
  public void linearCrossEntropyForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      Tensor dx,
      Tensor dWeight) {
    shapes.linearCrossEntropyForwardBackward(x, weight, labels, dLosses, losses, dx, dWeight);
    crossEntropy.forwardBackward(scratch, x, weight, labels, dLosses, losses, dx, dWeight);
  }

  @Override
  public void linearDftForwardBackward(
      MemoryScope scratch,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      Tensor dx,
      Tensor dWeight) {
    shapes.crossEntropyAtOnce(
        "linearDftForwardBackward", x, weight, labels, dLosses, losses, dx, dWeight);
    crossEntropy.dftForwardBackward(scratch, x, weight, labels, dLosses, losses, dx, dWeight);
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
    crossEntropy.forward(scratch, x, weight, part, labels, losses, logSumExp);
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
    crossEntropy.backward(scratch, x, weight, part, labels, logSumExp, dLosses, dx, dWeight);
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
    crossEntropy.forwardBackward(
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
    optimizer.adamW(step, parameter, gradient, firstMoment, secondMoment, model);
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
    storedAdamW.adamW(step, parameter, gradient, firstMoment, secondMoment, model);
  }

  @Override
  public void sgd(
      SgdStep step, Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    shapes.sgd(parameter, gradient, momentum, model);
    optimizer.sgd(step, parameter, gradient, momentum, model);
  }

  @Override
  public void close() {
    if (earlyCompilation != null) {
      earlyCompilation.close();
    }
    workers.close();
    device.close();
  }
}
