package io.panatron.kernels.reference;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * {@code out = dropout(softmax(scale q k^T)) v} for one query row at a time, causal within each
 * sequence and within the layout's window.
 *
 * <p>With {@code p} a row of the softmax and {@code m} its dropout factors: {@code dv_j += m_j p_j
 * dOut}; {@code ds_j = p_j (m_j dOut v_j - dOut out)}; {@code dq += scale ds_j k_j}; {@code dk_j +=
 * scale ds_j q}.
 *
 * <p><b>Shapes</b>: q, out: [queries, queryHeads, headDim]; k, v: [keys, keyValueHeads, headDim];
 * logSumExp: [queries, queryHeads]. Source: Dao, "FlashAttention-2", section 2.
 */
final class ReferenceAttention {
  private ReferenceAttention() {}

  static void forward(
      Tensor q,
      Tensor k,
      Tensor v,
      AttentionLayout layout,
      double scale,
      @Nullable DropoutMask mask,
      Tensor out,
      Tensor logSumExp) {
    Rows rows = new Rows(q, k, layout, scale);
    double[] qs = ReferenceArray.read(q);
    double[] ks = ReferenceArray.read(k);
    double[] vs = ReferenceArray.read(v);
    double[] outs = new double[qs.length];
    double[] logs = new double[qs.length / rows.dim];
    rows.forEach((query, key, keys, score) -> {
      double max = rows.scores(qs, query, ks, key, keys, score);
      double sum = 0;
      for (int j = 0; j < keys; j++) {
        score[j] = Math.exp(score[j] - max);
        sum += score[j];
      }
      for (int j = 0; j < keys; j++) {
        int at = (key + j * rows.keyHeads) * rows.dim;
        double p = score[j] / sum * rows.factor(mask, query, key, j);
        ReferenceArray.addScaled(p, vs, at, outs, query * rows.dim, rows.dim);
      }
      logs[query] = max + Math.log(sum);
    });
    ReferenceArray.write(outs, out);
    ReferenceArray.write(logs, logSumExp);
  }

  static void backward(
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
    Rows rows = new Rows(q, k, layout, scale);
    int dim = rows.dim;
    double[] qs = ReferenceArray.read(q);
    double[] ks = ReferenceArray.read(k);
    double[] vs = ReferenceArray.read(v);
    double[] outs = ReferenceArray.read(out);
    double[] logs = ReferenceArray.read(logSumExp);
    double[] dOuts = ReferenceArray.read(dOut);
    double[] dqs = new double[qs.length];
    double[] dks = new double[ks.length];
    double[] dvs = new double[vs.length];
    rows.forEach((query, key, keys, score) -> {
      int row = query * dim;
      rows.scores(qs, query, ks, key, keys, score);
      double mean = ReferenceArray.dot(dOuts, row, outs, row, dim);
      for (int j = 0; j < keys; j++) {
        int at = (key + j * rows.keyHeads) * dim;
        double p = Math.exp(score[j] - logs[query]);
        double m = rows.factor(mask, query, key, j);
        double ds = p * (m * ReferenceArray.dot(dOuts, row, vs, at, dim) - mean);
        ReferenceArray.addScaled(m * p, dOuts, row, dvs, at, dim);
        ReferenceArray.addScaled(scale * ds, ks, at, dqs, row, dim);
        ReferenceArray.addScaled(scale * ds, qs, row, dks, at, dim);
      }
    });
    ReferenceArray.write(dqs, dq);
    ReferenceArray.write(dks, dk);
    ReferenceArray.write(dvs, dv);
  }

  /**
   * What one query row sees.
   *
   * <p>{@code query} counts rows of [queries * queryHeads, headDim]; the row's keys are the rows
   * {@code key, key + keyHeads, ...} of [keys * keyHeads, headDim]; {@code score} has room for
   * them.
   */
  private interface RowBody {
    void accept(int query, int key, int keys, double[] score);
  }

  private static final class Rows {
    private final AttentionLayout layout;
    private final double scale;
    private final int queryHeads;
    private final int keyHeads;
    private final int dim;

    Rows(Tensor q, Tensor k, AttentionLayout layout, double scale) {
      this.layout = layout;
      this.scale = scale;
      this.queryHeads = Math.toIntExact(q.shape().extent(1));
      this.keyHeads = Math.toIntExact(k.shape().extent(1));
      this.dim = q.shape().columns();
    }

    void forEach(RowBody body) {
      for (int s = 0; s < layout.sequences(); s++) {
        double[] score = new double[layout.keyLength(s)];
        int earlier = layout.keyLength(s) - layout.queryLength(s);
        for (int h = 0; h < queryHeads; h++) {
          int key = layout.keyStart(s) * keyHeads + h / (queryHeads / keyHeads);
          for (int i = 0; i < layout.queryLength(s); i++) {
            int query = (layout.queryStart(s) + i) * queryHeads + h;
            int last = i + earlier;
            int first = 0;
            while (last - first >= layout.window()) {
              first++;
            }
            body.accept(query, key + first * keyHeads, last - first + 1, score);
          }
        }
      }
    }

    /** The dropout factor of the row's key {@code j}, counted from the first that it sees. */
    double factor(@Nullable DropoutMask mask, int query, int key, int j) {
      if (mask == null) {
        return 1;
      }
      int token = query / queryHeads;
      int sequence = 0;
      while (layout.queryStart(sequence + 1) <= token) {
        sequence++;
      }
      int place = key / keyHeads + j - layout.keyStart(sequence);
      return ReferenceDropout.factor(mask, token, query % queryHeads, place);
    }

    /** Fills {@code score} with {@code scale q k_j}; returns the largest. */
    double scores(double[] q, int query, double[] k, int key, int keys, double[] score) {
      double max = Double.NEGATIVE_INFINITY;
      for (int j = 0; j < keys; j++) {
        int at = (key + j * keyHeads) * dim;
        score[j] = scale * ReferenceArray.dot(q, query * dim, k, at, dim);
        max = Math.max(max, score[j]);
      }
      return max;
    }
  }
}
