package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.cube;
import static io.panatron.kernels.TensorChecks.floating;
import static io.panatron.kernels.TensorChecks.gradientVector;
import static io.panatron.kernels.TensorChecks.leading;
import static io.panatron.kernels.TensorChecks.like;
import static io.panatron.kernels.TensorChecks.matrix;
import static io.panatron.kernels.TensorChecks.sameCount;
import static io.panatron.kernels.TensorChecks.vector;

import io.panatron.kernels.Backend.HeadNorm;
import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The checks that every {@link Backend} makes before it computes: one method for each operation,
 * which throws {@link IllegalArgumentException} naming operation, tensor, shapes and dtypes.
 *
 * <p>They look at handles only, never at elements, and allocate nothing when all is well.
 */
public final class OperationShapes {
  private final Set<DType> computeDTypes;

  /**
   * @param computeDTypes what activations and parameters may be stored in
   */
  public OperationShapes(Set<DType> computeDTypes) {
    this.computeDTypes = EnumSet.copyOf(computeDTypes);
  }

  public boolean computesIn(DType dtype) {
    return computeDTypes.contains(dtype);
  }

  // ---- element-wise ---------------------------------------------------------------------------

  /** For {@code fill}, {@code scale} and {@code sumOfSquares}: any floating tensor. */
  public void elementwise(String operation, Tensor x) {
    floating(operation, "x", x);
  }

  public void copy(Tensor from, Tensor to) {
    floating("copy", "from", from);
    floating("copy", "to", to);
    sameCount("copy", "from", from, "to", to);
  }

  public void add(Tensor x, Tensor into) {
    floating("add", "x", x);
    boolean narrower = x.dtype() == DType.F32 && into.dtype() == DType.BF16;
    if (into.dtype() != x.dtype() && into.dtype() != x.dtype().accumulator() && !narrower) {
      throw new IllegalArgumentException(
          "add: into is "
              + into
              + ", but x is "
              + x
              + "; it must have that dtype or its accumulator, or be BF16 where x is F32");
    }
    sameCount("add", "x", x, "into", into);
  }

  // ---- dropout --------------------------------------------------------------------------------

  public void dropout(Tensor x, Tensor y) {
    compute("dropout", "x", x, 2);
    like("dropout", "y", y, x);
  }

  // ---- linear ---------------------------------------------------------------------------------

  public void linearForward(Tensor x, Tensor weight, @Nullable Tensor bias, Tensor y) {
    String operation = "linearForward";
    DType compute = compute(operation, "x", x, 2);
    long out = leading(operation, "weight", weight, 2);
    matrix(operation, "weight", weight, compute, out, x.shape().extent(1));
    if (bias != null) {
      vector(operation, "bias", bias, compute, out);
    }
    DType stored = y.dtype() == compute.accumulator() ? compute.accumulator() : compute;
    matrix(operation, "y", y, stored, x.shape().extent(0), out);
  }

  public void linearBackwardInput(Tensor dy, Tensor weight, Tensor dx) {
    String operation = "linearBackwardInput";
    DType compute = compute(operation, "weight", weight, 2);
    long tokens = leading(operation, "dy", dy, 2);
    matrix(operation, "dy", dy, compute, tokens, weight.shape().extent(0));
    matrix(operation, "dx", dx, compute, tokens, weight.shape().extent(1));
  }

  public void linearBackwardWeight(
      Tensor x, Tensor dy, @Nullable Tensor dWeight, @Nullable Tensor dBias) {
    String operation = "linearBackwardWeight";
    DType compute = compute(operation, "x", x, 2);
    DType sums = compute.accumulator();
    leading(operation, "dy", dy, 2);
    long out = dy.shape().extent(1);
    matrix(operation, "dy", dy, compute, x.shape().extent(0), out);
    if (dWeight != null) {
      matrix(operation, "dWeight", dWeight, sums, out, x.shape().extent(1));
    }
    if (dBias != null) {
      vector(operation, "dBias", dBias, sums, out);
    }
  }

  /** What is checked of a linear layer with a low-rank addition. */
  public LowRankShapes lowRank() {
    return new LowRankShapes(this);
  }

  // ---- embedding ------------------------------------------------------------------------------

  public void embeddingForward(Tensor ids, Tensor table, Tensor y) {
    String operation = "embeddingForward";
    DType compute = compute(operation, "table", table, 2);
    long tokens = leading(operation, "ids", ids, 1);
    vector(operation, "ids", ids, DType.I32, tokens);
    matrix(operation, "y", y, compute, tokens, table.shape().extent(1));
  }

  public void embeddingBackward(Tensor ids, Tensor dy, Tensor dTable) {
    String operation = "embeddingBackward";
    DType compute = compute(operation, "dy", dy, 2);
    vector(operation, "ids", ids, DType.I32, dy.shape().extent(0));
    long vocab = leading(operation, "dTable", dTable, 2);
    matrix(operation, "dTable", dTable, compute.accumulator(), vocab, dy.shape().extent(1));
  }

  public void partialEmbeddingForward(Tensor ids, Tensor table, VocabularyPart part, Tensor y) {
    embeddingForward(ids, table, y);
    partialRows("partialEmbeddingForward", "table", table, part);
  }

  public void partialEmbeddingBackward(Tensor ids, Tensor dy, VocabularyPart part, Tensor dTable) {
    embeddingBackward(ids, dy, dTable);
    partialRows("partialEmbeddingBackward", "dTable", dTable, part);
  }

  /** That a tensor has a row for each of a rank's rows of the vocabulary. */
  public void partialRows(String operation, String name, Tensor tensor, VocabularyPart part) {
    if (tensor.shape().extent(0) != part.rows()) {
      throw new IllegalArgumentException(
          operation
              + ": "
              + name
              + " is "
              + tensor
              + ", but the rank holds "
              + part.rows()
              + " rows of the vocabulary");
    }
  }

  // ---- residual addition and RMS norm ---------------------------------------------------------

  public void addRmsNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    compute("addRmsNormForward", "x", x, 2);
    NormShapes.forward("addRmsNormForward", x, delta, weight, sum, y, rstd);
  }

  public void addRmsNormBackward(
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight) {
    compute("addRmsNormBackward", "sum", sum, 2);
    NormShapes.backward("addRmsNormBackward", sum, weight, rstd, dy, dSum, dx, dWeight);
  }

  // ---- residual addition and layer norm -------------------------------------------------------

  public void addLayerNormForward(
      Tensor x,
      @Nullable Tensor delta,
      Tensor weight,
      Tensor bias,
      @Nullable Tensor sum,
      Tensor y,
      Tensor rstd) {
    compute("addLayerNormForward", "x", x, 2);
    NormShapes.forward("addLayerNormForward", x, delta, weight, sum, y, rstd);
    vector("addLayerNormForward", "bias", bias, x.dtype(), x.shape().extent(1));
  }

  public void addLayerNormBackward(
      Tensor sum,
      Tensor weight,
      Tensor rstd,
      Tensor dy,
      @Nullable Tensor dSum,
      Tensor dx,
      @Nullable Tensor dWeight,
      @Nullable Tensor dBias) {
    String operation = "addLayerNormBackward";
    compute(operation, "sum", sum, 2);
    NormShapes.backward(operation, sum, weight, rstd, dy, dSum, dx, dWeight);
    if (dBias != null) {
      vector(operation, "dBias", dBias, sum.dtype().accumulator(), sum.shape().extent(1));
    }
  }

  // ---- query/key/value split, head norm, rotary embedding ---------------------------------------

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
    String operation = "splitHeadsForward";
    compute(operation, "qkv", qkv, 2);
    SplitHeadsShapes.check(operation, "", qkv, geometry, positions, rotary, norm, q, k, v, rstd);
  }

  public void splitHeadsBackward(
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
    String operation = "splitHeadsBackward";
    if (norm != null && qkv == null) {
      throw new IllegalArgumentException(operation + " with a norm needs the forward input qkv");
    }
    Tensor fused = qkv == null ? dqkv : qkv;
    DType compute = compute(operation, "qkv", fused, 2);
    SplitHeadsShapes.check(
        operation, "d", fused, geometry, positions, rotary, norm, dq, dk, dv, rstd);
    matrix(operation, "dqkv", dqkv, compute, fused.shape().extent(0), geometry.fusedColumns());
    gradientVector(
        operation, "dQueryWeight", dQueryWeight, norm, compute.accumulator(), geometry.headDim());
    gradientVector(
        operation, "dKeyWeight", dKeyWeight, norm, compute.accumulator(), geometry.headDim());
  }

  // ---- attention --------------------------------------------------------------------------------

  public void attentionForward(
      Tensor q, Tensor k, Tensor v, AttentionLayout layout, Tensor out, Tensor logSumExp) {
    attention("attentionForward", q, k, v, layout, out, logSumExp);
  }

  public void attentionBackward(
      Tensor q,
      Tensor k,
      Tensor v,
      Tensor out,
      Tensor logSumExp,
      Tensor dOut,
      AttentionLayout layout,
      Tensor dq,
      Tensor dk,
      Tensor dv) {
    String operation = "attentionBackward";
    attention(operation, q, k, v, layout, out, logSumExp);
    for (int s = 0; s < layout.sequences(); s++) {
      if (layout.queryLength(s) != layout.keyLength(s)) {
        throw new IllegalArgumentException(
            operation
                + ": sequence "
                + s
                + " has "
                + layout.queryLength(s)
                + " queries and "
                + layout.keyLength(s)
                + " keys; the gradient needs as many keys as queries");
      }
    }
    like(operation, "dOut", dOut, out);
    like(operation, "dq", dq, q);
    like(operation, "dk", dk, k);
    like(operation, "dv", dv, v);
  }

  private void attention(
      String operation,
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      Tensor out,
      Tensor logSumExp) {
    DType compute = compute(operation, "q", q, 3);
    long queries = q.shape().extent(0);
    long queryHeads = q.shape().extent(1);
    long headDim = q.shape().extent(2);
    long keys = leading(operation, "k", k, 3);
    long keyHeads = k.shape().extent(1);
    cube(operation, "k", k, compute, keys, keyHeads, headDim);
    like(operation, "v", v, k);
    like(operation, "out", out, q);
    matrix(operation, "logSumExp", logSumExp, compute.accumulator(), queries, queryHeads);
    if (keyHeads < 1 || queryHeads % keyHeads != 0) {
      throw new IllegalArgumentException(
          operation + ": the heads of k " + k + " do not divide the heads of q " + q);
    }
    if (layout.totalQueries() != queries || layout.queryStart(0) != 0) {
      throw new IllegalArgumentException(
          operation
              + ": the layout covers queries "
              + layout.queryStart(0)
              + " to "
              + layout.totalQueries()
              + ", q is "
              + q);
    }
    for (int s = 0; s < layout.sequences(); s++) {
      if ((long) layout.keyStart(s) + layout.keyLength(s) > keys) {
        throw new IllegalArgumentException(
            operation
                + ": sequence "
                + s
                + " has keys "
                + layout.keyStart(s)
                + " to "
                + ((long) layout.keyStart(s) + layout.keyLength(s))
                + ", k is "
                + k);
      }
    }
  }

  // ---- SwiGLU -----------------------------------------------------------------------------------

  public void swigluForward(Tensor gateUp, Tensor y) {
    swiglu("swigluForward", "y", gateUp, y);
  }

  public void swigluBackward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    swiglu("swigluBackward", "dy", gateUp, dy);
    like("swigluBackward", "dGateUp", dGateUp, gateUp);
  }

  private void swiglu(String operation, String name, Tensor gateUp, Tensor y) {
    DType compute = compute(operation, "gateUp", gateUp, 2);
    long tokens = gateUp.shape().extent(0);
    long columns = gateUp.shape().extent(1);
    if (columns % 2 != 0) {
      throw new IllegalArgumentException(
          operation + ": gateUp " + gateUp + " has an odd number of columns");
    }
    matrix(operation, name, y, compute, tokens, columns / 2);
  }

  // ---- activation -------------------------------------------------------------------------------

  public void activationForward(Tensor x, Tensor y) {
    compute("activationForward", "x", x, 2);
    like("activationForward", "y", y, x);
  }

  public void activationBackward(Tensor x, Tensor dy, Tensor dx) {
    compute("activationBackward", "x", x, 2);
    like("activationBackward", "dy", dy, x);
    like("activationBackward", "dx", dx, x);
  }

  // ---- linear + cross-entropy -------------------------------------------------------------------

  public void linearCrossEntropyForward(
      Tensor x, Tensor weight, Tensor labels, Tensor losses, Tensor logSumExp) {
    String operation = "linearCrossEntropyForward";
    DType sums = crossEntropy(operation, x, weight, labels);
    vector(operation, "losses", losses, sums, x.shape().extent(0));
    vector(operation, "logSumExp", logSumExp, sums, x.shape().extent(0));
  }

  public void linearCrossEntropyBackward(
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor logSumExp,
      Tensor dLosses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    String operation = "linearCrossEntropyBackward";
    DType sums = crossEntropy(operation, x, weight, labels);
    vector(operation, "logSumExp", logSumExp, sums, x.shape().extent(0));
    vector(operation, "dLosses", dLosses, sums, x.shape().extent(0));
    crossEntropyGradients(operation, x, weight, dx, dWeight);
  }

  public void linearCrossEntropyForwardBackward(
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    crossEntropyAtOnce(
        "linearCrossEntropyForwardBackward", x, weight, labels, dLosses, losses, dx, dWeight);
  }

  /** Forward and backward at once, by whichever loss. */
  public void crossEntropyAtOnce(
      String operation,
      Tensor x,
      Tensor weight,
      Tensor labels,
      Tensor dLosses,
      Tensor losses,
      @Nullable Tensor dx,
      @Nullable Tensor dWeight) {
    DType sums = crossEntropy(operation, x, weight, labels);
    vector(operation, "dLosses", dLosses, sums, x.shape().extent(0));
    vector(operation, "losses", losses, sums, x.shape().extent(0));
    crossEntropyGradients(operation, x, weight, dx, dWeight);
  }

  private DType crossEntropy(String operation, Tensor x, Tensor weight, Tensor labels) {
    DType compute = compute(operation, "x", x, 2);
    long vocab = leading(operation, "weight", weight, 2);
    matrix(operation, "weight", weight, compute, vocab, x.shape().extent(1));
    vector(operation, "labels", labels, DType.I32, x.shape().extent(0));
    return compute.accumulator();
  }

  private static void crossEntropyGradients(
      String operation, Tensor x, Tensor weight, @Nullable Tensor dx, @Nullable Tensor dWeight) {
    if (dx != null) {
      like(operation, "dx", dx, x);
    }
    if (dWeight != null) {
      DType sums = x.dtype().accumulator();
      matrix(operation, "dWeight", dWeight, sums, weight.shape().extent(0), x.shape().extent(1));
    }
  }

  // ---- optimizer --------------------------------------------------------------------------------

  public void adamW(
      Tensor parameter,
      Tensor gradient,
      Tensor firstMoment,
      Tensor secondMoment,
      @Nullable Tensor model) {
    OptimizerShapes.optimizer("adamW", parameter, gradient, model);
    OptimizerShapes.state("adamW", "firstMoment", firstMoment, parameter);
    OptimizerShapes.state("adamW", "secondMoment", secondMoment, parameter);
  }

  public void sgd(Tensor parameter, Tensor gradient, Tensor momentum, @Nullable Tensor model) {
    OptimizerShapes.optimizer("sgd", parameter, gradient, model);
    OptimizerShapes.state("sgd", "momentum", momentum, parameter);
  }

  DType compute(String operation, String name, Tensor tensor, int rank) {
    if (!computeDTypes.contains(tensor.dtype())) {
      throw new IllegalArgumentException(
          operation
              + ": "
              + name
              + " is "
              + tensor
              + "; this backend computes in "
              + computeDTypes);
    }
    leading(operation, name, tensor, rank);
    return tensor.dtype();
  }
}
