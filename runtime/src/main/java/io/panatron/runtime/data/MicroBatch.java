package io.panatron.runtime.data;

import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * The samples of one forward and backward pass, as flat arrays of one element per token.
 *
 * @param tokens token ids
 * @param positions position of each token in its sequence, from 0
 * @param labels the token to be predicted at each position, {@link #NO_LABEL} for none
 * @param lossWeights weight of each label's loss, 0 where there is no label
 * @param sequenceStarts where each sequence starts, and the total at the end; attention never
 *     crosses these. Without {@code padding_free} a sequence includes its padding at the right
 * @param targetTokens number of labels; may be 0, so nothing may be divided by it unchecked
 * @param samples indices of the samples in the data set
 * @param channels of each sequence the group in which its loss is shown; empty where no groups are
 *     asked for
 * @param targets what the sequences are compared with; null where the loss is that of tokens
 */
public record MicroBatch(
    int[] tokens,
    int[] positions,
    int[] labels,
    float[] lossWeights,
    int[] sequenceStarts,
    int targetTokens,
    int[] samples,
    List<String> channels,
    @Nullable SequenceTargets targets) {

  /** With losses of tokens. */
  public MicroBatch(
      int[] tokens,
      int[] positions,
      int[] labels,
      float[] lossWeights,
      int[] sequenceStarts,
      int targetTokens,
      int[] samples,
      List<String> channels) {
    this(
        tokens,
        positions,
        labels,
        lossWeights,
        sequenceStarts,
        targetTokens,
        samples,
        channels,
        null);
  }

  /** Without channels. */
  public MicroBatch(
      int[] tokens,
      int[] positions,
      int[] labels,
      float[] lossWeights,
      int[] sequenceStarts,
      int targetTokens,
      int[] samples) {
    this(tokens, positions, labels, lossWeights, sequenceStarts, targetTokens, samples, List.of());
  }

  public MicroBatch {
    channels = List.copyOf(channels);
    if (!channels.isEmpty() && channels.size() != sequenceStarts.length - 1) {
      throw new IllegalArgumentException(
          channels.size() + " channels of " + (sequenceStarts.length - 1) + " sequences");
    }
  }

  /** Label of a position whose prediction does not count. */
  public static final int NO_LABEL = -100;

  public int sequences() {
    return sequenceStarts.length - 1;
  }

  public int length() {
    return tokens.length;
  }

  /**
   * The same samples with a further sequence behind them, so that the number of tokens is a
   * multiple of {@code multiple}. Nothing is predicted in it, and its losses count nowhere.
   */
  public MicroBatch filledTo(int multiple) {
    int missing = Math.floorMod(-tokens.length, multiple);
    if (missing == 0) {
      return this;
    }
    int length = tokens.length + missing;
    int[] places = Arrays.copyOf(positions, length);
    int[] nothing = Arrays.copyOf(labels, length);
    for (int t = tokens.length; t < length; t++) {
      places[t] = t - tokens.length;
      nothing[t] = NO_LABEL;
    }
    int[] starts = Arrays.copyOf(sequenceStarts, sequenceStarts.length + 1);
    starts[sequenceStarts.length] = length;
    return new MicroBatch(
        Arrays.copyOf(tokens, length),
        places,
        nothing,
        Arrays.copyOf(lossWeights, length),
        starts,
        targetTokens,
        samples);
  }

  /** Puts samples one after the other without padding. */
  static MicroBatch packed(List<EncodedSample> encoded, int[] samples) {
    int[] lengths = encoded.stream().mapToInt(EncodedSample::length).toArray();
    return of(encoded, lengths, 0, samples);
  }

  /** Pads samples at the right to the longest of them. */
  static MicroBatch padded(List<EncodedSample> encoded, int padId, int[] samples) {
    int longest = encoded.stream().mapToInt(EncodedSample::length).max().orElse(0);
    int[] lengths = new int[encoded.size()];
    Arrays.fill(lengths, longest);
    return of(encoded, lengths, padId, samples);
  }

  private static MicroBatch of(
      List<EncodedSample> encoded, int[] lengths, int padId, int[] samples) {
    int[] starts = new int[lengths.length + 1];
    for (int s = 0; s < lengths.length; s++) {
      starts[s + 1] = Math.addExact(starts[s], lengths[s]);
    }
    int total = starts[lengths.length];
    int[] tokens = new int[total];
    int[] positions = new int[total];
    int[] labels = new int[total];
    float[] weights = new float[total];
    Arrays.fill(labels, NO_LABEL);
    int targets = 0;
    for (int s = 0; s < lengths.length; s++) {
      EncodedSample sample = encoded.get(s);
      for (int i = 0; i < lengths[s]; i++) {
        int t = starts[s] + i;
        tokens[t] = i < sample.length() ? sample.ids()[i] : padId;
        positions[t] = i;
        if (i + 1 < sample.length() && sample.weights()[i + 1] != 0) {
          labels[t] = sample.ids()[i + 1];
          weights[t] = sample.weights()[i + 1];
          targets++;
        }
      }
    }
    List<String> channels =
        encoded.stream().map(EncodedSample::channel).filter(Objects::nonNull).toList();
    return new MicroBatch(
        tokens,
        positions,
        labels,
        weights,
        starts,
        targets,
        samples,
        channels,
        targets(encoded, starts));
  }

  private static @Nullable SequenceTargets targets(List<EncodedSample> encoded, int[] starts) {
    if (encoded.isEmpty() || encoded.getFirst().parts() == null) {
      return null;
    }
    int[] last = new int[encoded.size()];
    for (int s = 0; s < last.length; s++) {
      last[s] = starts[s] + encoded.get(s).length() - 1;
    }
    return new SequenceTargets(last, encoded.stream().map(EncodedSample::tag).toList());
  }
}
