package io.panatron.kernels.reference;

import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.LowRank;
import io.panatron.kernels.Tensor;
import org.jspecify.annotations.Nullable;

/**
 * A linear layer with a low-rank addition: {@code h = scale x down^T}; {@code y = x weight^T + bias
 * + h up^T}; {@code g = scale dy up}; {@code dUp += dy^T h}; {@code dDown += g^T x}; {@code dx = dy
 * weight + mask(g down)}; {@code up} block by block.
 */
final class ReferenceLowRank {
  private ReferenceLowRank() {}

  static void lowRankForward(Tensor x, LowRank adapter, double scale, Tensor h) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int width = adapter.width();
    double[] xs = ReferenceArray.read(x);
    double[] down = ReferenceArray.read(adapter.down());
    double[] hs = new double[tokens * width];
    for (int t = 0; t < tokens; t++) {
      for (int j = 0; j < width; j++) {
        hs[t * width + j] = scale * ReferenceArray.dot(xs, t * in, down, j * in, in);
      }
    }
    ReferenceArray.write(hs, h);
  }

  static void forward(
      Tensor x, Tensor weight, @Nullable Tensor bias, Tensor h, LowRank adapter, Tensor y) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int out = y.shape().columns();
    int rank = adapter.rank();
    double[] xs = ReferenceArray.read(x);
    double[] w = ReferenceArray.read(weight);
    double[] b = bias == null ? new double[out] : ReferenceArray.read(bias);
    double[] hs = ReferenceArray.read(h);
    double[] up = ReferenceArray.read(adapter.up());
    double[] ys = new double[tokens * out];
    for (int t = 0; t < tokens; t++) {
      for (int o = 0; o < out; o++) {
        ys[t * out + o] = ReferenceArray.dot(xs, t * in, w, o * in, in) + b[o];
      }
      for (int block = 0; block < adapter.blocks().size(); block++) {
        LowRank.Block columns = adapter.blocks().get(block);
        int firstUp = adapter.firstUp(block);
        int from = t * adapter.width() + block * rank;
        for (int c = 0; c < columns.count(); c++) {
          ys[t * out + columns.first() + c] +=
              ReferenceArray.dot(hs, from, up, (firstUp + c) * rank, rank);
        }
      }
    }
    ReferenceArray.write(ys, y);
  }

  static void lowRankBackward(
      Tensor x,
      Tensor h,
      Tensor dy,
      LowRank adapter,
      double scale,
      Tensor g,
      Tensor dDown,
      Tensor dUp) {
    int tokens = x.shape().rows();
    int in = x.shape().columns();
    int out = dy.shape().columns();
    int rank = adapter.rank();
    int width = adapter.width();
    double[] hs = ReferenceArray.read(h);
    double[] dys = ReferenceArray.read(dy);
    double[] up = ReferenceArray.read(adapter.up());
    double[] gs = new double[tokens * width];
    double[] du = new double[up.length];
    for (int t = 0; t < tokens; t++) {
      for (int block = 0; block < adapter.blocks().size(); block++) {
        LowRank.Block columns = adapter.blocks().get(block);
        int firstUp = adapter.firstUp(block);
        int narrow = t * width + block * rank;
        for (int c = 0; c < columns.count(); c++) {
          double d = dys[t * out + columns.first() + c];
          ReferenceArray.addScaled(scale * d, up, (firstUp + c) * rank, gs, narrow, rank);
          ReferenceArray.addScaled(d, hs, narrow, du, (firstUp + c) * rank, rank);
        }
      }
    }
    ReferenceArray.write(gs, g);
    ReferenceArray.accumulate(du, dUp);
    double[] xs = ReferenceArray.read(x);
    double[] rounded = ReferenceArray.read(g);
    double[] dd = new double[width * in];
    for (int t = 0; t < tokens; t++) {
      for (int j = 0; j < width; j++) {
        ReferenceArray.addScaled(rounded[t * width + j], xs, t * in, dd, j * in, in);
      }
    }
    ReferenceArray.accumulate(dd, dDown);
  }

  static void backwardInput(
      Tensor dy, Tensor weight, Tensor g, LowRank adapter, @Nullable DropoutMask mask, Tensor dx) {
    int tokens = dy.shape().rows();
    int out = dy.shape().columns();
    int in = dx.shape().columns();
    int width = adapter.width();
    double[] dys = ReferenceArray.read(dy);
    double[] w = ReferenceArray.read(weight);
    double[] gs = ReferenceArray.read(g);
    double[] down = ReferenceArray.read(adapter.down());
    double[] dxs = new double[tokens * in];
    for (int t = 0; t < tokens; t++) {
      for (int j = 0; j < width; j++) {
        ReferenceArray.addScaled(gs[t * width + j], down, j * in, dxs, t * in, in);
      }
      for (int i = 0; i < in && mask != null; i++) {
        dxs[t * in + i] *= ReferenceDropout.factor(mask, t, 0, i);
      }
      for (int o = 0; o < out; o++) {
        ReferenceArray.addScaled(dys[t * out + o], w, o * in, dxs, t * in, in);
      }
    }
    ReferenceArray.write(dxs, dx);
  }
}
