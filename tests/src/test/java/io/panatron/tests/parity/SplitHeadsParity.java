package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.EXACT;
import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.pointwise;
import static io.panatron.tests.parity.Tolerances.sum;

import io.panatron.kernels.Backend.HeadNorm;
import io.panatron.kernels.DType;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.RotaryTable;
import io.panatron.kernels.Tensor;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Splitting, head norm and rotary embedding, with and without the norm, whole, partial and no
 * rotation, of halves and of neighbours.
 */
final class SplitHeadsParity {
  private static final int POSITIONS = 400;

  private SplitHeadsParity() {}

  private record Size(
      int tokens, HeadGeometry geometry, int rotaryDim, boolean interleaved, boolean norm) {
    int heads() {
      return geometry.queryHeads() + geometry.keyValueHeads();
    }
  }

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int kind = 0; kind < 4; kind++) {
      boolean norm = kind % 2 == 1;
      boolean pairs = kind >= 2;
      for (Size s :
          List.of(
              new Size(1, new HeadGeometry(1, 1, 2), 2, pairs, norm),
              new Size(5, new HeadGeometry(4, 4, 12), 0, pairs, norm),
              new Size(9, new HeadGeometry(2, 1, 24), 6, pairs, norm),
              new Size(2, new HeadGeometry(3, 1, 6), 6, pairs, norm),
              new Size(3, new HeadGeometry(6, 2, 16), 16, pairs, norm),
              new Size(17, new HeadGeometry(6, 2, 20), 20, pairs, norm),
              new Size(31, new HeadGeometry(8, 4, 20), 10, pairs, norm),
              new Size(33, new HeadGeometry(8, 4, 64), 64, pairs, norm),
              new Size(65, new HeadGeometry(2, 2, 80), 32, pairs, norm),
              new Size(127, new HeadGeometry(8, 1, 128), 128, pairs, norm))) {
        cases.add(new ParityCase("splitHeadsForward", s.toString(), dtype, p -> forward(p, s)));
        cases.add(new ParityCase("splitHeadsBackward", s.toString(), dtype, p -> backward(p, s)));
      }
    }
    return cases;
  }

  /** The inputs that forward and backward share. */
  private static final class Inputs {
    final Pair qkv;
    final Pair positions;
    final Pair cosine;
    final Pair sine;
    final Pair queryWeight;
    final Pair keyWeight;
    final boolean interleaved;
    final boolean norm;

    Inputs(Parity p, Size s) {
      qkv = p.normalInput(2, s.tokens, s.geometry.fusedColumns());
      int[] places = new int[s.tokens];
      for (int t = 0; t < s.tokens; t++) {
        // Packed sequences: positions start anew, not always at 0; the last row of the table
        // occurs.
        places[t] = t == s.tokens - 1 ? POSITIONS - 1 : t % 11 + 3 * (t / 11);
      }
      positions = p.integers(places);
      int half = s.rotaryDim / 2;
      double[] cos = new double[POSITIONS * half];
      double[] sin = new double[POSITIONS * half];
      for (int i = 0; i < cos.length; i++) {
        int position = i / half;
        double angle = position * Math.pow(1e4, -(double) (i % half) / half);
        cos[i] = Math.cos(angle);
        sin[i] = Math.sin(angle);
      }
      cosine = p.input(p.sums(), cos, POSITIONS, half);
      sine = p.input(p.sums(), sin, POSITIONS, half);
      queryWeight = p.normalInput(1, s.geometry.headDim());
      keyWeight = p.normalInput(1, s.geometry.headDim());
      interleaved = s.interleaved;
      norm = s.norm;
    }

    RotaryTable testedRotary() {
      return new RotaryTable(cosine.tested(), sine.tested(), interleaved);
    }

    RotaryTable referenceRotary() {
      return new RotaryTable(cosine.reference(), sine.reference(), interleaved);
    }

    @Nullable HeadNorm testedNorm() {
      return norm ? new HeadNorm(queryWeight.tested(), keyWeight.tested(), 1e-3) : null;
    }

    @Nullable HeadNorm referenceNorm() {
      return norm ? new HeadNorm(queryWeight.reference(), keyWeight.reference(), 1e-3) : null;
    }
  }

  private static void forward(Parity p, Size s) {
    Inputs in = new Inputs(p, s);
    HeadGeometry g = s.geometry;
    Pair q = p.output(s.tokens, g.queryHeads(), g.headDim());
    Pair k = p.output(s.tokens, g.keyValueHeads(), g.headDim());
    Pair v = p.output(s.tokens, g.keyValueHeads(), g.headDim());
    @Nullable Pair rstd = s.norm ? p.output(p.sums(), s.tokens, s.heads()) : null;
    p.tested()
        .backend()
        .splitHeadsForward(
            in.qkv.tested(),
            g,
            in.positions.tested(),
            in.testedRotary(),
            in.testedNorm(),
            q.tested(),
            k.tested(),
            v.tested(),
            rstd == null ? null : rstd.tested());
    p.reference()
        .backend()
        .splitHeadsForward(
            in.qkv.reference(),
            g,
            in.positions.reference(),
            in.referenceRotary(),
            in.referenceNorm(),
            q.reference(),
            k.reference(),
            v.reference(),
            rstd == null ? null : rstd.reference());
    // a cos - b sin may cancel; normed elements reach the weight's size, plain ones the input's.
    p.compare("q", q, pointwise(p.compute()), cancellation(4));
    p.compare("k", k, pointwise(p.compute()), cancellation(4));
    p.compare("v", v, EXACT);
    if (rstd != null) {
      p.compare("rstd", rstd, pointwise(p.sums()));
    }
  }

  private static void backward(Parity p, Size s) {
    Inputs in = new Inputs(p, s);
    HeadGeometry g = s.geometry;
    @Nullable Pair rstd = s.norm ? rstd(p, s, in) : null;
    Pair dq = p.normalInput(1, s.tokens, g.queryHeads(), g.headDim());
    Pair dk = p.normalInput(1, s.tokens, g.keyValueHeads(), g.headDim());
    Pair dv = p.normalInput(1, s.tokens, g.keyValueHeads(), g.headDim());
    Pair dqkv = p.output(s.tokens, g.fusedColumns());
    @Nullable Pair dQueryWeight = s.norm ? p.accumulated(1, g.headDim()) : null;
    @Nullable Pair dKeyWeight = s.norm ? p.accumulated(1, g.headDim()) : null;
    p.tested()
        .backend()
        .splitHeadsBackward(
            p.tested().scope(),
            in.qkv.tested(),
            g,
            in.positions.tested(),
            in.testedRotary(),
            in.testedNorm(),
            rstd == null ? null : rstd.tested(),
            dq.tested(),
            dk.tested(),
            dv.tested(),
            dqkv.tested(),
            dQueryWeight == null ? null : dQueryWeight.tested(),
            dKeyWeight == null ? null : dKeyWeight.tested());
    p.reference()
        .backend()
        .splitHeadsBackward(
            p.reference().scope(),
            in.qkv.reference(),
            g,
            in.positions.reference(),
            in.referenceRotary(),
            in.referenceNorm(),
            rstd == null ? null : rstd.reference(),
            dq.reference(),
            dk.reference(),
            dv.reference(),
            dqkv.reference(),
            dQueryWeight == null ? null : dQueryWeight.reference(),
            dKeyWeight == null ? null : dKeyWeight.reference());
    double steepest = rstd == null ? 1 : Parity.largest(rstd.initial());
    p.compare("dqkv", dqkv, sum(p.compute()), cancellation(4 * Math.max(1, steepest)));
    if (dQueryWeight != null && dKeyWeight != null) {
      double terms = cancellation(4 * Math.sqrt(s.tokens * s.heads()));
      p.compare("dQueryWeight", dQueryWeight, sum(p.sums()), terms);
      p.compare("dKeyWeight", dKeyWeight, sum(p.sums()), terms);
    }
  }

  private static Pair rstd(Parity p, Size s, Inputs in) {
    HeadGeometry g = s.geometry;
    BackendUnderTest reference = p.reference();
    Tensor q = reference.empty(DType.F64, s.tokens, g.queryHeads(), g.headDim());
    Tensor k = reference.empty(DType.F64, s.tokens, g.keyValueHeads(), g.headDim());
    Tensor v = reference.empty(DType.F64, s.tokens, g.keyValueHeads(), g.headDim());
    Tensor rstd = reference.empty(DType.F64, s.tokens, s.heads());
    reference
        .backend()
        .splitHeadsForward(
            in.qkv.reference(),
            g,
            in.positions.reference(),
            in.referenceRotary(),
            in.referenceNorm(),
            q,
            k,
            v,
            rstd);
    return p.shared(p.sums(), rstd);
  }
}
