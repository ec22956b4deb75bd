package io.panatron.runtime.train;

import io.panatron.kernels.Communicator;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.data.MicroBatch;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.regex.Pattern;

/**
 * Adds up losses by channel: {@code --enable_channel_loss}. A channel whose samples have no target
 * token does not appear.
 */
final class ChannelLosses {
  /** What comes before a name that would make the key of the loss scale, {@code loss_scale}. */
  private static final String CHANNEL = "channel_";

  private static final Pattern SCALE = Pattern.compile("(" + CHANNEL + ")*scale");

  private final SortedMap<String, ChannelLoss> sums = new TreeMap<>();

  /** What follows {@code loss_} in the key of a channel's loss; another for each channel. */
  static String key(String channel) {
    return SCALE.matcher(channel).matches() ? CHANNEL + channel : channel;
  }

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

  /**
   * The sums over all ranks that share the samples; a rank alone may have channels that the others
   * do not have.
   */
  SortedMap<String, ChannelLoss> sumsOver(Communicator ranks) {
    if (ranks.size() == 1) {
      return sums();
    }
    ChannelLosses all = new ChannelLosses();
    for (byte[] part : ranks.allGather(written())) {
      all.read(part);
    }
    return all.sums;
  }

  /** As above, on every stage of a pipeline, of which the last alone knows losses. */
  SortedMap<String, ChannelLoss> sumsOver(Communicator ranks, Communicator stages) {
    ChannelLosses ofStage = new ChannelLosses();
    ofStage.addAll(sumsOver(ranks));
    return ofStage.sumsOver(stages);
  }

  private byte[] written() {
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    try (DataOutputStream out = new DataOutputStream(bytes)) {
      for (Map.Entry<String, ChannelLoss> channel : sums.entrySet()) {
        out.writeUTF(channel.getKey());
        out.writeDouble(channel.getValue().lossSum());
        out.writeLong(channel.getValue().targetTokens());
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return bytes.toByteArray();
  }

  private void read(byte[] written) {
    try (DataInputStream in = new DataInputStream(new ByteArrayInputStream(written))) {
      while (in.available() > 0) {
        add(in.readUTF(), new ChannelLoss(in.readDouble(), in.readLong()));
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
