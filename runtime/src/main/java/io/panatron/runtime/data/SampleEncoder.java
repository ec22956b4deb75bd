package io.panatron.runtime.data;

import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Tokenizes rows: renders them, tokenizes context and trained parts apart, and sets the loss
 * weights. Safe for use by several threads.
 */
public final class SampleEncoder {
  private final HfTokenizer tokenizer;
  private final ChatTemplate template;
  private final LossScale lossScale;
  private final @Nullable String beginToken;
  private final String identity;

  /**
   * Makes an encoder.
   *
   * @param plainBegin whether plain text starts with the begin token where the tokenizer asks for
   *     it
   */
  public SampleEncoder(
      HfTokenizer tokenizer, ChatTemplate template, LossScale lossScale, boolean plainBegin) {
    this.tokenizer = tokenizer;
    this.template = template;
    this.lossScale = lossScale;
    this.beginToken = plainBegin && !tokenizer.beginText().isEmpty() ? tokenizer.beginText() : null;
    this.identity =
        hash(
            "samples 1",
            tokenizer.identity(),
            template.identity(),
            String.valueOf(lossScale),
            String.valueOf(beginToken));
  }

  /** Everything that decides what a conversation becomes, as a hash. */
  String identity() {
    return identity;
  }

  private static String hash(String... parts) {
    MessageDigest digest = InputStamp.sha256Digest();
    for (String part : parts) {
      digest.update(part.getBytes(StandardCharsets.UTF_8));
      digest.update((byte) 0);
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  /** The whole sample, however long. */
  public EncodedSample encode(Row row) {
    return row.example() == null ? encodeTokens(row) : encodeSequences(row, row.example());
  }

  private EncodedSample encodeSequences(Row row, SequenceExample example) {
    List<EncodedSample> sequences = new ArrayList<>();
    for (int s = 0; s < example.tags().size(); s++) {
      int[] ids = tokenizer.encode(text(row, example.conversations().get(s)));
      if (ids.length == 0) {
        throw new TemplateException("has a conversation that becomes no token");
      }
      SampleParts part = new SampleParts(new int[] {ids.length}, List.of(example.tags().get(s)));
      sequences.add(new EncodedSample(ids, new float[ids.length], null, part));
    }
    return SampleParts.join(sequences);
  }

  /** A conversation with what invites the next answer, if it does not end with one. */
  private String text(Row row, List<Message> conversation) {
    StringBuilder text = new StringBuilder(beginToken == null ? "" : beginToken);
    if (conversation.getLast().isAnswer()) {
      template.render(conversation, row.tools()).forEach(piece -> text.append(piece.text()));
    } else {
      text.append(template.renderPrompt(conversation, row.tools()));
    }
    return text.toString();
  }

  private EncodedSample encodeTokens(Row row) {
    int[] ids = new int[64];
    float[] weights = new float[64];
    int n = 0;
    for (WeightedText part : parts(row)) {
      int[] tokens = tokenizer.encode(part.text());
      if (n + tokens.length > ids.length) {
        int size = Math.max(n + tokens.length, ids.length * 2);
        ids = Arrays.copyOf(ids, size);
        weights = Arrays.copyOf(weights, size);
      }
      System.arraycopy(tokens, 0, ids, n, tokens.length);
      Arrays.fill(weights, n, n + tokens.length, part.weight());
      n += tokens.length;
    }
    return new EncodedSample(Arrays.copyOf(ids, n), Arrays.copyOf(weights, n), row.channel());
  }

  /** Whether each sequence surely has at most that many tokens, without tokenizing it. */
  boolean surelyWithin(Row row, int maxLength) {
    SequenceExample example = row.example();
    if (example != null) {
      return example.conversations().stream()
          .mapToInt(conversation -> tokenizer.maxTokens(text(row, conversation)))
          .allMatch(most -> most >= 0 && most <= maxLength);
    }
    long most = 0;
    for (WeightedText part : parts(row)) {
      int tokens = tokenizer.maxTokens(part.text());
      if (tokens < 0) {
        return false;
      }
      most += tokens;
    }
    return most <= maxLength;
  }

  /** Neighbouring stretches of one weight are joined, since they are tokenized together. */
  private List<WeightedText> parts(Row row) {
    List<WeightedText> parts = new ArrayList<>();
    StringBuilder text = new StringBuilder(beginToken == null ? "" : beginToken);
    float weight = Float.NaN;
    for (Piece piece : template.render(row.messages(), row.tools())) {
      if (piece.text().isEmpty()) {
        continue;
      }
      for (WeightedText stretch : lossScale.weigh(row.messages(), piece)) {
        if (stretch.weight() != weight && !Float.isNaN(weight)) {
          parts.add(new WeightedText(text.toString(), weight));
          text.setLength(0);
        }
        weight = stretch.weight();
        text.append(stretch.text());
      }
    }
    if (!text.isEmpty()) {
      parts.add(new WeightedText(text.toString(), Float.isNaN(weight) ? 0 : weight));
    }
    return parts;
  }
}
