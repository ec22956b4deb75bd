package io.panatron.runtime.generate;

import io.panatron.runtime.UserError;
import java.util.BitSet;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/**
 * Draws tokens from logits as a {@link Sampling} says. Computes in double; work is proportional to
 * the vocabulary on average, since nothing is sorted.
 *
 * <p>It keeps arrays of the vocabulary's size for the next call; one thread uses it.
 */
final class Sampler {
  private final double[] probabilities;
  private final double[] scratch;
  private final int[] ids;

  /** Tokens that may be drawn, by ascending id: the first {@link #kept} entries of both arrays. */
  private final int[] keptIds;

  private final double[] keptLogits;
  private int kept;

  /** The greatest kept logit. */
  private double greatest;

  /**
   * A token and the natural logarithm of the probability with which it was drawn.
   *
   * <p>A greedy token is certain, which would say nothing: its probability is the one that the
   * model gives it (after the repetition penalty, at temperature 1).
   */
  record Draw(int token, double logProbability) {}

  Sampler(int vocabulary) {
    probabilities = new double[vocabulary];
    scratch = new double[vocabulary];
    ids = new int[vocabulary];
    keptIds = new int[vocabulary];
    keptLogits = new double[vocabulary];
  }

  /**
   * Draws a token; greedy sampling takes the first among equals and no random number.
   *
   * @param logits overwritten
   * @param seen the tokens that the repetition penalty meets; null for none
   * @param random gives one number for each token
   */
  Draw draw(double[] logits, Sampling sampling, @Nullable BitSet seen, RandomGenerator random) {
    filter(logits, sampling, seen);
    double temperature = sampling.isGreedy() ? 1 : sampling.temperature();
    double total = weights(temperature);
    int chosen = sampling.isGreedy() ? argmax() : pick(random.nextDouble() * total);
    double logProbability = (keptLogits[chosen] - greatest) / temperature - Math.log(total);
    return new Draw(keptIds[chosen], logProbability);
  }

  /** The probability of every token, for tests against transformers. */
  double[] distribution(double[] logits, Sampling sampling, @Nullable BitSet seen) {
    filter(logits, sampling, seen);
    double total = weights(sampling.temperature());
    double[] all = new double[logits.length];
    for (int i = 0; i < kept; i++) {
      all[keptIds[i]] = probabilities[i] / total;
    }
    return all;
  }

  private void filter(double[] logits, Sampling sampling, @Nullable BitSet seen) {
    if (seen != null && sampling.penalises()) {
      penalise(logits, seen, sampling.repetitionPenalty());
    }
    for (int i = 0; i < logits.length; i++) {
      keptIds[i] = i;
    }
    System.arraycopy(logits, 0, keptLogits, 0, logits.length);
    kept = logits.length;
    if (sampling.isGreedy()) {
      return;
    }
    if (sampling.topK() > 0 && sampling.topK() < kept) {
      keepTopK(sampling.topK());
    }
    if (sampling.topP() < 1) {
      keepTopP(sampling.topP(), sampling.temperature());
    }
  }

  private static void penalise(double[] logits, BitSet seen, double penalty) {
    for (int id = seen.nextSetBit(0); id >= 0 && id < logits.length; id = seen.nextSetBit(id + 1)) {
      logits[id] = logits[id] < 0 ? logits[id] * penalty : logits[id] / penalty;
    }
  }

  private void keepTopK(int k) {
    System.arraycopy(keptLogits, 0, scratch, 0, kept);
    System.arraycopy(keptIds, 0, ids, 0, kept);
    double least = Selection.kthLargest(scratch, ids, kept, k);
    int next = 0;
    for (int i = 0; i < kept; i++) {
      if (keptLogits[i] >= least) {
        keep(i, next++);
      }
    }
    kept = next;
  }

  private void keepTopP(double topP, double temperature) {
    double total = weights(temperature);
    System.arraycopy(probabilities, 0, scratch, 0, kept);
    System.arraycopy(keptIds, 0, ids, 0, kept);
    int count = Selection.largestWithMass(scratch, ids, kept, topP * total);
    double least = scratch[count - 1];
    int leastId = ids[count - 1];
    int next = 0;
    for (int i = 0; i < kept; i++) {
      double p = probabilities[i];
      if (p > least || (p == least && keptIds[i] >= leastId)) {
        keep(i, next++);
      }
    }
    kept = next;
  }

  private void keep(int from, int to) {
    keptIds[to] = keptIds[from];
    keptLogits[to] = keptLogits[from];
  }

  /**
   * Sets {@link #probabilities} to {@code exp((logit - greatest logit) / temperature)} and returns
   * their sum, which is at least 1.
   */
  private double weights(double temperature) {
    double max = Double.NEGATIVE_INFINITY;
    for (int i = 0; i < kept; i++) {
      max = Math.max(max, keptLogits[i]); // NaN if any is
    }
    if (!Double.isFinite(max)) {
      throw new UserError(
          ("the model's greatest logit is %s, so no token can be drawn; its weights are damaged, or"
                  + " overflow its dtype (try --torch_dtype float32).")
              .formatted(max));
    }
    greatest = max;
    double total = 0;
    for (int i = 0; i < kept; i++) {
      probabilities[i] = Math.exp((keptLogits[i] - max) / temperature);
      total += probabilities[i];
    }
    return total;
  }

  private int argmax() {
    int best = 0;
    for (int i = 1; i < kept; i++) {
      if (keptLogits[i] > keptLogits[best]) {
        best = i;
      }
    }
    return best;
  }

  /** The token at which the running sum passes {@code point}. */
  private int pick(double point) {
    double sum = 0;
    int last = 0;
    for (int i = 0; i < kept; i++) {
      if (probabilities[i] > 0) {
        sum += probabilities[i];
        last = i;
        if (sum > point) {
          return i;
        }
      }
    }
    return last;
  }
}
