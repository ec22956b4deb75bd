package io.panatron.kernels.reference;

import io.panatron.kernels.Tensor;

/**
 * {@code y = gate sigmoid(gate) up}; with {@code s = sigmoid(gate)}: {@code dGate = dy up s (1 +
 * gate (1 - s))}; {@code dUp = dy gate s}.
 *
 * <p><b>Shapes</b>: gateUp, dGateUp: [tokens, 2 width], gate first; y, dy: [tokens, width]. Source:
 * Shazeer, "GLU Variants Improve Transformer", equation 6.
 */
final class ReferenceSwiglu {
  private ReferenceSwiglu() {}

  static void forward(Tensor gateUp, Tensor y) {
    int width = y.shape().columns();
    double[] in = ReferenceArray.read(gateUp);
    double[] ys = new double[Math.toIntExact(y.elements())];
    for (int t = 0; t < y.shape().rows(); t++) {
      for (int i = 0; i < width; i++) {
        double gate = in[2 * t * width + i];
        double up = in[(2 * t + 1) * width + i];
        ys[t * width + i] = gate * sigmoid(gate) * up;
      }
    }
    ReferenceArray.write(ys, y);
  }

  static void backward(Tensor gateUp, Tensor dy, Tensor dGateUp) {
    int width = dy.shape().columns();
    double[] in = ReferenceArray.read(gateUp);
    double[] dys = ReferenceArray.read(dy);
    double[] dIn = new double[in.length];
    for (int t = 0; t < dy.shape().rows(); t++) {
      for (int i = 0; i < width; i++) {
        double gate = in[2 * t * width + i];
        double up = in[(2 * t + 1) * width + i];
        double d = dys[t * width + i];
        double s = sigmoid(gate);
        dIn[2 * t * width + i] = d * up * s * (1 + gate * (1 - s));
        dIn[(2 * t + 1) * width + i] = d * gate * s;
      }
    }
    ReferenceArray.write(dIn, dGateUp);
  }

  private static double sigmoid(double x) {
    return 1 / (1 + Math.exp(-x));
  }
}
