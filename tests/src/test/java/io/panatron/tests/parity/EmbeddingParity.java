package io.panatron.tests.parity;

import static io.panatron.tests.parity.Tolerances.EXACT;
import static io.panatron.tests.parity.Tolerances.cancellation;
import static io.panatron.tests.parity.Tolerances.sum;

import io.panatron.kernels.DType;
import io.panatron.tests.parity.Parity.Pair;
import java.util.ArrayList;
import java.util.List;

/** The embedding table and its gradient, with repeated ids. */
final class EmbeddingParity {
  private EmbeddingParity() {}

  static List<ParityCase> cases(DType dtype) {
    List<ParityCase> cases = new ArrayList<>();
    for (int tokens : new int[] {1, 2, 3, 17, 65, 127}) {
      for (int[] table : new int[][] {{7, 5}, {360, 72}, {1031, 33}}) {
        int vocab = table[0];
        int hidden = table[1];
        String inputs = tokens + " of " + vocab + "x" + hidden;
        cases.add(
            new ParityCase(
                "embeddingForward", inputs, dtype, p -> forward(p, tokens, vocab, hidden)));
        cases.add(
            new ParityCase(
                "embeddingBackward", inputs, dtype, p -> backward(p, tokens, vocab, hidden)));
      }
    }
    return cases;
  }

  private static Pair ids(Parity p, int tokens, int vocab) {
    int[] ids = p.random().ints(tokens, 0, vocab).toArray();
    ids[0] = vocab - 1;
    ids[tokens - 1] = tokens > 4 ? ids[tokens / 2] : 0;
    return p.integers(ids);
  }

  private static void forward(Parity p, int tokens, int vocab, int hidden) {
    Pair ids = ids(p, tokens, vocab);
    Pair table = p.normalInput(1, vocab, hidden);
    Pair y = p.output(tokens, hidden);
    p.tested().backend().embeddingForward(ids.tested(), table.tested(), y.tested());
    p.reference().backend().embeddingForward(ids.reference(), table.reference(), y.reference());
    p.compare("y", y, EXACT);
  }

  private static void backward(Parity p, int tokens, int vocab, int hidden) {
    Pair ids = ids(p, tokens, vocab);
    Pair dy = p.normalInput(1, tokens, hidden);
    Pair dTable = p.accumulated(1, vocab, hidden);
    p.tested()
        .backend()
        .embeddingBackward(p.tested().scope(), ids.tested(), dy.tested(), dTable.tested());
    p.reference()
        .backend()
        .embeddingBackward(
            p.reference().scope(), ids.reference(), dy.reference(), dTable.reference());
    p.compare("dTable", dTable, sum(p.sums()), cancellation(Math.sqrt(tokens)));
  }
}
