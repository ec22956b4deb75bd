package io.panatron.runtime.train;

import io.panatron.kernels.Communicator;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;

/**
 * Adds up losses by channel: {@code --enable_channel_loss}. A channel whose samples have no target
 * token does not appear.
 */
final class ChannelLosses {
  private final SortedMap<String, ChannelLoss> sums = new TreeMap<>();

  /**
   * Adds a micro-batch.
   *
   * @param crossEntropies of each token
   */
  void add(MicroBatch batch, double[] crossEntropies, TokenLoss tokenLoss) {
    for (int s = 0; s < batch.channels().size(); s++) {
      double sum = 0;
      long targets = 0;
      for (int t = batch.sequenceStarts()[s]; t < batch.sequenceStarts()[s + 1]; t++) {
        if (batch.labels()[t] >= 0) {
          sum += tokenLoss.of(crossEntropies[t]) * batch.lossWeights()[t];
          targets++;
        }
      }
      if (targets > 0) {
        add(batch.channels().get(s), new ChannelLoss(sum, targets));
      }
    }
  }

  void add(String channel, ChannelLoss loss) {
    sums.merge(channel, loss, ChannelLoss::plus);
  }

  void addAll(Map<String, ChannelLoss> losses) {
    losses.forEach(this::add);
  }

  void clear() {
    sums.clear();
  }

  /** The sums so far, by name. */
  SortedMap<String, ChannelLoss> sums() {
    return new TreeMap<>(sums);
  }

  /** The sums over all ranks that share the samples. */
  SortedMap<String, ChannelLoss> sumsOver(Communicator ranks) {
    if (ranks.size() > 1 && !sums.isEmpty()) {
      throw new IllegalStateException("the names of channels are not exchanged between ranks");
    }
    return sums();
  }
}
