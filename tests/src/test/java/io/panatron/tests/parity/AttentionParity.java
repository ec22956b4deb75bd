package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.insideRounded;
import static io.panatron.tests.parity.Tolerances.pointwise;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Attention over packed sequences and over a key-value cache. */
final class AttentionParity {
  private AttentionParity() {}

  /**
   * @param lengths of the packed sequences
   * @param peak about the largest scaled score
   * @param window keys that a query sees
   */
  private record Size(List<Integer> lengths, HeadGeometry geometry, double peak, int window) {
    Size(List<Integer> lengths, HeadGeometry geometry, double peak) {
      this(lengths, geometry, peak, AttentionLayout.NO_WINDOW);
    }

    int tokens() {
      return lengths.stream().mapToInt(Integer::intValue).sum();
    }

    AttentionLayout layout() {
      int[] starts = new int[lengths.size() + 1];
      for (int s = 0; s < lengths.size(); s++) {
        starts[s + 1] = starts[s] + lengths.get(s);
      }
      return AttentionLayout.packed(starts).withWindow(window);
    }
  }

  private static final List<Size> SIZES =
      List.of(
          new Size(List.of(1), new HeadGeometry(1, 1, 2), 3),
          new Size(List.of(1, 1, 2, 1), new HeadGeometry(3, 1, 6), 3),
          new Size(List.of(3, 5), new HeadGeometry(6, 2, 16), 3),
          new Size(List.of(17, 31, 1, 33), new HeadGeometry(6, 2, 20), 3),
          new Size(List.of(63, 65), new HeadGeometry(8, 4, 64), 3),
          new Size(List.of(127, 1, 2), new HeadGeometry(2, 2, 80), 3),
          new Size(List.of(64, 32, 128), new HeadGeometry(4, 4, 32), 3),
          new Size(List.of(1, 130, 0, 7), new HeadGeometry(8, 1, 128), 3),
          new Size(List.of(300, 1, 257, 3), new HeadGeometry(6, 2, 16), 3),
          new Size(List.of(65, 3), new HeadGeometry(6, 2, 16), 80),
          new Size(List.of(140), new HeadGeometry(2, 1, 64), 80),
          new Size(List.of(3, 5), new HeadGeometry(6, 2, 16), 3, 1),
          new Size(List.of(17, 31, 1, 33), new HeadGeometry(6, 2, 20), 3, 7),
          new Size(List.of(1, 130, 0, 7), new HeadGeometry(8, 1, 128), 3, 33),
          new Size(List.of(300, 1, 257, 3), new HeadGeometry(6, 2, 16), 3, 64),
          new Size(List.of(127, 65), new HeadGeometry(2, 2, 80), 80, 100),
          new Size(List.of(64, 200), new HeadGeometry(4, 4, 32), 3, 129));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (Size s : SIZES) {
      cases.add(
          new ParityCase(
              "attentionForward",
              s.toString(),
              dtype,
              p -> forward(p, s.geometry, s.layout(), s.tokens(), s.tokens(), s.peak, null)));
      cases.add(
          new ParityCase("attentionBackward", s.toString(), dtype, p -> backward(p, s, null)));
      for (double probability : new double[] {0.1, 0.7}) {
        DropoutMask mask = new DropoutMask(probability, 42, 3, 1, 5, 0);
        String name = s + " dropping " + probability;
        cases.add(
            new ParityCase(
                "attentionForward",
                name,
                dtype,
                p -> forward(p, s.geometry, s.layout(), s.tokens(), s.tokens(), s.peak, mask)));
        cases.add(new ParityCase("attentionBackward", name, dtype, p -> backward(p, s, mask)));
      }
    }
    for (int cached : new int[] {1, 2, 33, 64, 300}) {
      for (int window : new int[] {AttentionLayout.NO_WINDOW, 3, 40}) {
        // Two sequences in a cache with room between them: one new token, and five.
        int longer = cached + 4;
        AttentionLayout layout =
            new AttentionLayout(
                    new int[] {0, 1, 6}, new int[] {2, cached + 5}, new int[] {cached, longer + 1})
                .withWindow(window);
        int keys = cached + 5 + longer + 1 + 3;
        cases.add(
            new ParityCase(
                "attentionForward",
                "decode after " + cached + " in a window of " + window,
                dtype,
                p -> forward(p, new HeadGeometry(6, 2, 20), layout, 6, keys, 3, null)));
      }
    }
    for (HeadGeometry geometry : GEOMETRIES) {
      for (int window : new int[] {AttentionLayout.NO_WINDOW, 1, 300}) {
        AttentionLayout layout = singleQueries(1, 31, 256, 257, 600).withWindow(window);
        cases.add(
            new ParityCase(
                "attentionForward",
                "single queries of " + geometry + " in a window of " + window,
                dtype,
                p -> forward(p, geometry, layout, 5, 1160, 3, null)));
      }
    }
    return cases;
  }

  private static final List<HeadGeometry> GEOMETRIES =
      List.of(
          new HeadGeometry(8, 4, 64),
          new HeadGeometry(3, 1, 128),
          new HeadGeometry(6, 2, 20),
          new HeadGeometry(5, 5, 80),
          new HeadGeometry(1, 1, 2));

  /** One query for each sequence, whose keys lie three rows apart. */
  private static AttentionLayout singleQueries(int... lengths) {
    int[] queries = new int[lengths.length + 1];
    int[] keys = new int[lengths.length];
    for (int s = 0; s < lengths.length; s++) {
      queries[s + 1] = s + 1;
      keys[s] = s == 0 ? 2 : keys[s - 1] + lengths[s - 1] + 3;
    }
    return new AttentionLayout(queries, keys, lengths);
  }

  private static double scale(HeadGeometry geometry) {
    // Not 1 / sqrt(headDim) exactly, so that a backend that ignores the argument is found out.
    return 0.9 / Math.sqrt(geometry.headDim());
  }

  /** Scores have deviation {@code 0.9 deviation^2}; the largest of some is about 3.5 deviations. */
  private static double deviation(double peak) {
    return Math.sqrt(peak / 3.15);
  }

  private static void forward(
      Parity p,
      HeadGeometry g,
      AttentionLayout layout,
      int queries,
      int keys,
      double peak,
      @Nullable DropoutMask mask) {
    double deviation = deviation(peak);
    Pair q = p.normalInput(deviation, queries, g.queryHeads(), g.headDim());
    Pair k = p.normalInput(deviation, keys, g.keyValueHeads(), g.headDim());
    Pair v = p.normalInput(1, keys, g.keyValueHeads(), g.headDim());
    Pair out = p.output(queries, g.queryHeads(), g.headDim());
    Pair logSumExp = p.output(p.sums(), queries, g.queryHeads());
    p.tested()
        .backend()
        .attentionForward(
            p.tested().scope(),
            q.tested(),
            k.tested(),
            v.tested(),
            layout,
            scale(g),
            mask,
            out.tested(),
            logSumExp.tested());
    p.reference()
        .backend()
        .attentionForward(
            p.reference().scope(),
            q.reference(),
            k.reference(),
            v.reference(),
            layout,
            scale(g),
            mask,
            out.reference(),
            logSumExp.reference());
    // A score of size peak is rounded, its probability with it, and weighs values of up to 4.
    double grown = mask == null ? 1 : mask.factor();
    p.compare("out", out, insideRounded(p.compute(), p.compute()), cancellation(4 * peak * grown));
    p.compare("logSumExp", logSumExp, pointwise(p.sums()), cancellation(peak));
  }

  private static void backward(Parity p, Size s, @Nullable DropoutMask mask) {
    HeadGeometry g = s.geometry;
    int tokens = s.tokens();
    double deviation = deviation(s.peak);
    long[] queryShape = {tokens, g.queryHeads(), g.headDim()};
    long[] keyShape = {tokens, g.keyValueHeads(), g.headDim()};
    Pair q = p.normalInput(deviation, queryShape);
    Pair k = p.normalInput(deviation, keyShape);
    Pair v = p.normalInput(1, keyShape);
    Pair dOut = p.normalInput(1, queryShape);
    Tensor exactOut = p.reference().empty(DType.F64, queryShape);
    Tensor exactLog = p.reference().empty(DType.F64, tokens, g.queryHeads());
    p.reference()
        .backend()
        .attentionForward(
            p.reference().scope(),
            q.reference(),
            k.reference(),
            v.reference(),
            s.layout(),
            scale(g),
            mask,
            exactOut,
            exactLog);
    Pair out = p.shared(p.compute(), exactOut);
    Pair logSumExp = p.shared(p.sums(), exactLog);
    Pair dq = p.output(queryShape);
    Pair dk = p.output(keyShape);
    Pair dv = p.output(keyShape);
    for (BackendUnderTest side : Arrays.asList(p.tested(), p.reference())) {
      boolean tested = side == p.tested();
      side.backend()
          .attentionBackward(
              side.scope(),
              side(q, tested),
              side(k, tested),
              side(v, tested),
              side(out, tested),
              side(logSumExp, tested),
              side(dOut, tested),
              s.layout(),
              scale(g),
              mask,
              side(dq, tested),
              side(dk, tested),
              side(dv, tested));
    }
    // A score's gradient p (dOut v - dOut out) has terms of size sqrt(headDim) before they cancel:
    // both
    // are sums of headDim products, and the key they multiply is up to 4 deviations long.
    // Where dropout takes the key with most of the weight, they do not cancel: both show.
    double grown = mask == null ? 1 : 2 * mask.factor();
    double scoreGradient = Math.sqrt(g.headDim()) * Math.max(1, s.peak / 4) * grown;
    double terms = cancellation(scale(g) * deviation * scoreGradient);
    p.compare("dq", dq, insideRounded(p.compute(), p.compute()), 10 * terms);
    p.compare("dk", dk, insideRounded(p.compute(), p.compute()), 10 * g.groupSize() * terms);
    p.compare("dv", dv, insideRounded(p.compute(), p.compute()), cancellation(4 * s.peak * grown));
  }

  private static Tensor side(Pair pair, boolean tested) {
    return tested ? pair.tested() : pair.reference();
  }
}
