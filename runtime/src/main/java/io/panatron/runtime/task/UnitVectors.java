package io.panatron.runtime.task;

/**
 * Hidden states divided by their L2 norm: {@code y = x / max(|x|, 1e-12)}.
 *
 * @param vectors [sequences][hidden]
 * @param norms what each was divided by
 */
record UnitVectors(double[][] vectors, double[] norms) {
  private static final double EPSILON = 1e-12;

  static UnitVectors of(double[][] outputs) {
    double[][] vectors = new double[outputs.length][];
    double[] norms = new double[outputs.length];
    for (int s = 0; s < outputs.length; s++) {
      norms[s] = Math.max(Math.sqrt(Numerics.dot(outputs[s], outputs[s])), EPSILON);
      vectors[s] = outputs[s].clone();
      for (int i = 0; i < vectors[s].length; i++) {
        vectors[s][i] /= norms[s];
      }
    }
    return new UnitVectors(vectors, norms);
  }

  /** Turns the gradient by the unit vectors into that by the hidden states, in place. */
  void backward(double[][] gradient) {
    for (int s = 0; s < gradient.length; s++) {
      double along = Numerics.dot(gradient[s], vectors[s]);
      Numerics.addScaled(gradient[s], -along, vectors[s]);
      for (int i = 0; i < gradient[s].length; i++) {
        gradient[s][i] /= norms[s];
      }
    }
  }
}
