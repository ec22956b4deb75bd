package io.panatron.tests.parity;

import io.panatron.kernels.AccountingCommunicator;
import io.panatron.kernels.Communicator;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.VocabularyPart;
import io.panatron.kernels.Work;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/**
 * What one rank sees of a second that shares a vocabulary with it: the statistics of tokens that
 * the second would send, computed from its part of the weight in plain double loops.
 */
public final class OtherRanks {
  private final BackendUnderTest side;
  private final int rank;
  private final List<double[]> ofAll = new ArrayList<>();
  private final List<double[]> ofLabelled = new ArrayList<>();

  /**
   * @param rank of the side under test, 0 or 1
   * @param x [tokens, hidden] of all tokens
   * @param weight of the whole vocabulary
   */
  public OtherRanks(
      BackendUnderTest side, int rank, double[] x, double[] weight, int[] labels, int hidden) {
    this.side = side;
    this.rank = rank;
    int vocab = weight.length / hidden;
    int first = VocabularyPart.firstRow(vocab, 1 - rank, 2);
    int end = VocabularyPart.firstRow(vocab, 2 - rank, 2);
    for (int t = 0; t < labels.length; t++) {
      double sum = 0;
      double labelLogit = 0;
      for (int v = first; v < end; v++) {
        double logit = 0;
        for (int i = 0; i < hidden; i++) {
          logit += x[t * hidden + i] * weight[v * hidden + i];
        }
        sum += Math.exp(logit);
        labelLogit += v == labels[t] ? logit : 0;
      }
      double[] statistics = {Math.log(sum), labelLogit};
      ofAll.add(statistics);
      if (labels[t] >= 0) {
        ofLabelled.add(statistics);
      }
    }
  }

  /** The group of both, as the side under test sees it. */
  public Communicator group() {
    Communicator silent = new AccountingCommunicator(rank, 2);
    return (Communicator)
        Proxy.newProxyInstance(
            Communicator.class.getClassLoader(),
            new Class<?>[] {Communicator.class},
            (proxy, method, arguments) -> {
              if (method.getName().endsWith("llGather") && arguments[0] instanceof Tensor part) {
                gather(part, (Tensor) arguments[1]);
                return method.getReturnType() == Work.class ? Work.DONE : null;
              }
              return method.invoke(silent, arguments);
            });
  }

  /** A side that sends all tokens gets all; one that sends those with a label gets these. */
  private void gather(Tensor part, Tensor whole) {
    long numbers = part.elements();
    List<double[]> sent = numbers == 2L * ofAll.size() ? ofAll : ofLabelled;
    if (numbers != 2L * sent.size()) {
      throw new IllegalArgumentException(
          numbers / 2 + " tokens, of which there are " + ofAll.size());
    }
    side.backend().copy(part, whole.slice(rank * numbers, numbers));
    double[] values = sent.stream().flatMapToDouble(Arrays::stream).toArray();
    side.write(whole.slice((1 - rank) * numbers, numbers), values);
  }
}
