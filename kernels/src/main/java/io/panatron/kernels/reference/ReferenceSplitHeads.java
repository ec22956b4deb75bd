package io.panatron.kernels.reference;

import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * Cuts [tokens, fusedColumns] into query, key and value heads; norms query and key heads; turns
 * each pair {@code (a, b)} of elements {@code i} and {@code i + rotaryDim / 2}, or {@code 2 i} and
 * {@code 2 i + 1} of an interleaved table, into {@code (a cos - b sin, b cos + a sin)}. The
 * gradient turns back and then goes through the norm.
 *
 * <p>Source: Su et al., "RoFormer", equation 34.
 */
final class ReferenceSplitHeads {
  private final HeadGeometry geometry;
  private final int[] positions;
  private final double[] cosine;
  private final double[] sine;
  private final int half;
  private final boolean interleaved;

  private ReferenceSplitHeads(HeadGeometry geometry, Tensor positions, RotaryTable rotary) {
    this.geometry = geometry;
    this.positions = ReferenceArray.readIntegers(positions);
    this.cosine = ReferenceArray.read(rotary.cosine());
    this.sine = ReferenceArray.read(rotary.sine());
    this.half = rotary.rotaryDim() / 2;
    this.interleaved = rotary.interleaved();
    for (int t = 0; t < this.positions.length; t++) {
      if (this.positions[t] < 0 || this.positions[t] >= rotary.positions()) {
        throw new IllegalArgumentException(
            "splitHeads: position "
                + this.positions[t]
                + " of token "
                + t
                + " is outside the rotary table's "
                + rotary.positions()
                + " rows");
      }
    }
  }

  static void forward(
      Tensor qkv,
      HeadGeometry geometry,
      Tensor positions,
      RotaryTable rotary,
      @Nullable HeadNorm norm,
      Tensor q,
      Tensor k,
      Tensor v,
      @Nullable Tensor rstd) {
    ReferenceSplitHeads split = new ReferenceSplitHeads(geometry, positions, rotary);
    double[] fused = ReferenceArray.read(qkv);
    double[] normed = fused.clone();
    if (norm != null && rstd != null) {
      ReferenceArray.write(split.normHeads(fused, norm, normed), rstd);
    }
    int queryColumns = geometry.queryColumns();
    int keyColumns = geometry.keyValueColumns();
    double[] queries = split.columns(normed, 0, queryColumns);
    double[] keys = split.columns(normed, queryColumns, keyColumns);
    split.rotate(queries, geometry.queryHeads(), 1);
    split.rotate(keys, geometry.keyValueHeads(), 1);
    ReferenceArray.write(queries, q);
    ReferenceArray.write(keys, k);
    ReferenceArray.write(split.columns(fused, queryColumns + keyColumns, keyColumns), v);
  }

  static void backward(
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
    ReferenceSplitHeads split = new ReferenceSplitHeads(geometry, positions, rotary);
    double[] dQueries = ReferenceArray.read(dq);
    double[] dKeys = ReferenceArray.read(dk);
    split.rotate(dQueries, geometry.queryHeads(), -1);
    split.rotate(dKeys, geometry.keyValueHeads(), -1);
    double[] dFused = new double[Math.toIntExact(dqkv.elements())];
    int queryColumns = geometry.queryColumns();
    int keyColumns = geometry.keyValueColumns();
    split.putColumns(dQueries, dFused, 0, queryColumns);
    split.putColumns(dKeys, dFused, queryColumns, keyColumns);
    split.putColumns(ReferenceArray.read(dv), dFused, queryColumns + keyColumns, keyColumns);
    if (norm != null && qkv != null && rstd != null) {
      double[] dqw = new double[geometry.headDim()];
      double[] dkw = new double[geometry.headDim()];
      double[] fused = ReferenceArray.read(qkv);
      split.normHeadsBackward(fused, norm, ReferenceArray.read(rstd), dFused, dqw, dkw);
      if (dQueryWeight != null) {
        ReferenceArray.accumulate(dqw, dQueryWeight);
      }
      if (dKeyWeight != null) {
        ReferenceArray.accumulate(dkw, dKeyWeight);
      }
    }
    ReferenceArray.write(dFused, dqkv);
  }

  /** Norms the query and key heads of each token into {@code normed}; returns their rstd. */
  private double[] normHeads(double[] fused, HeadNorm norm, double[] normed) {
    int heads = geometry.queryHeads() + geometry.keyValueHeads();
    int dim = geometry.headDim();
    double[] queryWeight = ReferenceArray.read(norm.queryWeight());
    double[] keyWeight = ReferenceArray.read(norm.keyWeight());
    double[] rstd = new double[positions.length * heads];
    for (int t = 0; t < positions.length; t++) {
      for (int h = 0; h < heads; h++) {
        double[] weight = h < geometry.queryHeads() ? queryWeight : keyWeight;
        int start = t * geometry.fusedColumns() + h * dim;
        rstd[t * heads + h] =
            ReferenceRmsNorm.normalize(fused, start, dim, weight, norm.epsilon(), normed);
      }
    }
    return rstd;
  }

  /** Turns gradients of normed heads in {@code dFused} into gradients of the heads, in place. */
  private void normHeadsBackward(
      double[] fused,
      HeadNorm norm,
      double[] rstd,
      double[] dFused,
      double[] dQueryWeight,
      double[] dKeyWeight) {
    int heads = geometry.queryHeads() + geometry.keyValueHeads();
    int dim = geometry.headDim();
    double[] queryWeight = ReferenceArray.read(norm.queryWeight());
    double[] keyWeight = ReferenceArray.read(norm.keyWeight());
    for (int t = 0; t < positions.length; t++) {
      for (int h = 0; h < heads; h++) {
        boolean query = h < geometry.queryHeads();
        int start = t * geometry.fusedColumns() + h * dim;
        ReferenceRmsNorm.normalizeBackward(
            fused,
            start,
            dim,
            query ? queryWeight : keyWeight,
            rstd[t * heads + h],
            dFused,
            start,
            dFused,
            query ? dQueryWeight : dKeyWeight);
      }
    }
  }

  /**
   * Rotates [tokens, heads, headDim] in place.
   *
   * @param direction 1 for the forward rotation, -1 for its inverse, which is its transpose
   */
  private void rotate(double[] x, int heads, int direction) {
    int dim = geometry.headDim();
    for (int t = 0; t < positions.length; t++) {
      for (int h = 0; h < heads; h++) {
        int start = (t * heads + h) * dim;
        for (int i = 0; i < half; i++) {
          double cos = cosine[positions[t] * half + i];
          double sin = direction * sine[positions[t] * half + i];
          int first = start + (interleaved ? 2 * i : i);
          int second = interleaved ? first + 1 : first + half;
          double a = x[first];
          double b = x[second];
          x[first] = a * cos - b * sin;
          x[second] = b * cos + a * sin;
        }
      }
    }
  }

  private double[] columns(double[] fused, int first, int count) {
    double[] part = new double[positions.length * count];
    for (int t = 0; t < positions.length; t++) {
      System.arraycopy(fused, t * geometry.fusedColumns() + first, part, t * count, count);
    }
    return part;
  }

  private void putColumns(double[] part, double[] fused, int first, int count) {
    for (int t = 0; t < positions.length; t++) {
      System.arraycopy(part, t * count, fused, t * geometry.fusedColumns() + first, count);
    }
  }
}
