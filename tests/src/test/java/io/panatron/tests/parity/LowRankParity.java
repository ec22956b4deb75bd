package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.insideRounded;
import static io.panatron.tests.parity.Tolerances.sum;

import io.panatron.kernels.DType;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.LowRank;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** A linear layer with a low-rank addition, in one block and in several with a gap. */
final class LowRankParity {
  private static final double SCALE = 2.5;

  private LowRankParity() {}

  private record Size(int tokens, int in, int out, int rank, List<LowRank.Block> blocks) {
    int width() {
      return rank * blocks.size();
    }

    int upRows() {
      return blocks.stream().mapToInt(LowRank.Block::count).sum();
    }
  }

  private static Size whole(int tokens, int in, int out, int rank) {
    return new Size(tokens, in, out, rank, List.of(new LowRank.Block(0, out)));
  }

  private static final List<Size> SIZES =
      List.of(
          whole(1, 1, 1, 1),
          whole(2, 3, 5, 2),
          whole(17, 33, 63, 8),
          whole(300, 9, 12, 3),
          whole(33, 600, 130, 16),
          whole(131, 65, 700, 8),
          new Size(5, 17, 31, 4, List.of(new LowRank.Block(3, 20))),
          new Size(31, 72, 65, 8, List.of(new LowRank.Block(0, 33), new LowRank.Block(40, 25))),
          new Size(
              150,
              20,
              1100,
              2,
              List.of(
                  new LowRank.Block(0, 600),
                  new LowRank.Block(600, 200),
                  new LowRank.Block(900, 200))));

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    DropoutMask mask = new DropoutMask(0.3, 5, 1, 0, 4, 0);
    for (Size s : SIZES) {
      String name = s.toString();
      cases.add(new ParityCase("lowRankForward", name, dtype, p -> lowRankForward(p, s)));
      cases.add(new ParityCase("lowRankBackward", name, dtype, p -> lowRankBackward(p, s)));
      for (boolean bias : new boolean[] {false, true}) {
        cases.add(
            new ParityCase(
                "adaptedLinearForward",
                name + (bias ? " bias" : ""),
                dtype,
                p -> forward(p, s, bias)));
      }
      for (DropoutMask dropped : new DropoutMask[] {null, mask}) {
        cases.add(
            new ParityCase(
                "adaptedLinearBackwardInput",
                name + (dropped == null ? "" : " dropped"),
                dtype,
                p -> backwardInput(p, s, dropped)));
      }
    }
    return cases;
  }

  /** Both sides' handles on the same matrices. */
  private record Adapter(Pair down, Pair up, List<LowRank.Block> blocks) {
    static Adapter of(Parity p, Size s) {
      return new Adapter(
          p.normalInput(1, s.width(), s.in), p.normalInput(1, s.upRows(), s.rank), s.blocks);
    }

    LowRank tested() {
      return new LowRank(down.tested(), up.tested(), blocks);
    }

    LowRank reference() {
      return new LowRank(down.reference(), up.reference(), blocks);
    }
  }

  private static void lowRankForward(Parity p, Size s) {
    Pair x = p.normalInput(1, s.tokens, s.in);
    Adapter adapter = Adapter.of(p, s);
    Pair h = p.output(s.tokens, s.width());
    p.tested()
        .backend()
        .lowRankForward(p.tested().scope(), x.tested(), adapter.tested(), SCALE, h.tested());
    p.reference()
        .backend()
        .lowRankForward(
            p.reference().scope(), x.reference(), adapter.reference(), SCALE, h.reference());
    p.compare("h", h, sum(p.compute()), cancellation(SCALE * Math.sqrt(s.in)));
  }

  private static void forward(Parity p, Size s, boolean withBias) {
    Pair x = p.normalInput(1, s.tokens, s.in);
    Pair weight = p.normalInput(1, s.out, s.in);
    @Nullable Pair bias = withBias ? p.normalInput(3, s.out) : null;
    Pair h = p.normalInput(1, s.tokens, s.width());
    Adapter adapter = Adapter.of(p, s);
    Pair y = p.output(s.tokens, s.out);
    p.tested()
        .backend()
        .adaptedLinearForward(
            p.tested().scope(),
            x.tested(),
            weight.tested(),
            bias == null ? null : bias.tested(),
            h.tested(),
            adapter.tested(),
            y.tested());
    p.reference()
        .backend()
        .adaptedLinearForward(
            p.reference().scope(),
            x.reference(),
            weight.reference(),
            bias == null ? null : bias.reference(),
            h.reference(),
            adapter.reference(),
            y.reference());
    p.compare("y", y, sum(p.compute()), cancellation(Math.sqrt(s.in + s.rank)));
  }

  private static void lowRankBackward(Parity p, Size s) {
    Pair x = p.normalInput(1, s.tokens, s.in);
    Pair h = p.normalInput(1, s.tokens, s.width());
    Pair dy = p.normalInput(1, s.tokens, s.out);
    Adapter adapter = Adapter.of(p, s);
    Pair g = p.output(s.tokens, s.width());
    Pair dDown = p.accumulated(1, s.width(), s.in);
    Pair dUp = p.accumulated(1, s.upRows(), s.rank);
    p.tested()
        .backend()
        .lowRankBackward(
            p.tested().scope(),
            x.tested(),
            h.tested(),
            dy.tested(),
            adapter.tested(),
            SCALE,
            g.tested(),
            dDown.tested(),
            dUp.tested());
    p.reference()
        .backend()
        .lowRankBackward(
            p.reference().scope(),
            x.reference(),
            h.reference(),
            dy.reference(),
            adapter.reference(),
            SCALE,
            g.reference(),
            dDown.reference(),
            dUp.reference());
    double size = SCALE * Math.sqrt(s.upRows());
    p.compare("g", g, sum(p.compute()), cancellation(size));
    p.compare("dUp", dUp, sum(p.sums()), cancellation(Math.sqrt(s.tokens)));
    // The reference sums over g as it is, the other side over g rounded to its dtype.
    p.compare(
        "dDown",
        dDown,
        insideRounded(p.compute(), p.sums()),
        cancellation(size * Math.sqrt(s.tokens)));
  }

  private static void backwardInput(Parity p, Size s, @Nullable DropoutMask mask) {
    Pair dy = p.normalInput(1, s.tokens, s.out);
    Pair weight = p.normalInput(1, s.out, s.in);
    Pair g = p.normalInput(1, s.tokens, s.width());
    Adapter adapter = Adapter.of(p, s);
    Pair dx = p.output(s.tokens, s.in);
    p.tested()
        .backend()
        .adaptedLinearBackwardInput(
            p.tested().scope(),
            dy.tested(),
            weight.tested(),
            g.tested(),
            adapter.tested(),
            mask,
            dx.tested());
    p.reference()
        .backend()
        .adaptedLinearBackwardInput(
            p.reference().scope(),
            dy.reference(),
            weight.reference(),
            g.reference(),
            adapter.reference(),
            mask,
            dx.reference());
    p.compare("dx", dx, sum(p.compute()), cancellation(Math.sqrt(s.out + s.width())));
  }
}
