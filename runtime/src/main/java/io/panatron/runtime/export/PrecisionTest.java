package io.panatron.runtime.export;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.tensor.HostTransfer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.stream.IntStream;

/**
 * Compares the logits of a model before and after its conversion, for one question and answer.
 *
 * <p>Source of the figures and of the bound: Megatron-SWIFT's {@code test_convert_precision}.
 *
 * @param dtype in which both are computed
 * @param ids the tokens of question and answer
 * @param answer where the answer begins in {@code ids}
 * @param vocabulary logits of a token
 */
record PrecisionTest(DType dtype, List<Integer> ids, int answer, int vocabulary) {
  /** A mean difference of the answer's logits above this is a conversion gone wrong. */
  static final double MOST_MEAN_DIFFERENCE = 0.1;

  private static final String QUESTION = "Where does a river end, and why does it not run dry?";
  private static final String ANSWER =
      " In the sea. The sun lifts water from it, the wind carries it over the land, and it falls as"
          + " rain on the hills where the river begins.";
  private static final int TOKENS_WITHOUT_TEXT = 48;
  private static final int LARGE_PRIME = 7919;

  /**
   * Prepares the comparison.
   *
   * @param folder whose tokenizer makes the tokens; without one they are spread over the vocabulary
   */
  static PrecisionTest of(Path folder, ModelConfig config, SafetensorsDtype dtype) {
    DType computed =
        switch (dtype) {
          case F32 -> DType.F32;
          case BF16 -> DType.BF16;
          case F16 -> DType.F16;
          default -> throw new IllegalArgumentException("no comparison in " + dtype);
        };
    List<Integer> ids = new ArrayList<>();
    int answer;
    if (Files.exists(folder.resolve("tokenizer.json"))) {
      try (HfTokenizer tokenizer = HfTokenizer.open(folder)) {
        Arrays.stream(tokenizer.encode(QUESTION)).forEach(ids::add);
        answer = ids.size();
        Arrays.stream(tokenizer.encode(ANSWER)).forEach(ids::add);
      }
    } else {
      for (long i = 1; i <= TOKENS_WITHOUT_TEXT; i++) {
        ids.add((int) (i * LARGE_PRIME % config.vocabSize()));
      }
      answer = ids.size() / 2;
    }
    int most = Math.min(ids.size(), config.maxPositionEmbeddings());
    if (most < 2) {
      throw new UserError(
          "--test_convert_precision true needs a model of at least two positions; leave it out.");
    }
    return new PrecisionTest(
        computed, ids.subList(0, most), Math.clamp(answer, 1, most - 1), config.vocabSize());
  }

  PrecisionTest {
    ids = List.copyOf(ids);
  }

  /** The logits of a folder's model: [tokens, vocabulary]. */
  double[] logits(RankContext rank, Path folder) {
    int tokens = ids.size();
    try (LoadedModel model =
            LoadedModel.open(
                rank, folder, new LoadedModel.Options(dtype, false, tokens, 0, false));
        MemoryScope scope = rank.memory().scope("logits", false)) {
      Device device = rank.backend().device();
      Tensor logits =
          model
              .network()
              .logits(
                  Tape.inference(rank.backend(), scope),
                  HostTransfer.upload(
                      device, scope, "ids", ids.stream().mapToInt(Integer::intValue).toArray()),
                  HostTransfer.upload(
                      device, scope, "positions", IntStream.range(0, tokens).toArray()),
                  AttentionLayout.packed(new int[] {0, tokens}));
      return HostTransfer.download(device, logits);
    }
  }

  /**
   * What the user reads of two sets of logits.
   *
   * @throws UserError where they differ too much, or are not finite
   */
  List<String> report(double[] before, double[] after) {
    int tokens = ids.size();
    double[] mean = new double[tokens];
    double[] most = new double[tokens];
    boolean[] other = new boolean[tokens];
    for (int t = 0; t < tokens; t++) {
      int bestBefore = 0;
      int bestAfter = 0;
      for (int v = 0; v < vocabulary; v++) {
        double difference = Math.abs(at(before, t, v) - at(after, t, v));
        mean[t] += difference / vocabulary;
        most[t] = Math.max(most[t], difference);
        bestBefore = at(before, t, v) > at(before, t, bestBefore) ? v : bestBefore;
        bestAfter = at(after, t, v) > at(after, t, bestAfter) ? v : bestAfter;
      }
      other[t] = bestBefore != bestAfter;
    }
    // The last token of the question predicts the first of the answer; nothing follows the last.
    double withLoss = meanOf(mean, answer - 1, tokens - 1);
    List<String> lines =
        List.of(
            "Precision         logits of source and result, %d tokens in %s"
                .formatted(tokens, dtype),
            line("mean_diff", meanOf(mean, 0, tokens), "max_diff", maxOf(most, 0, tokens)),
            line(
                "mean_diff (with loss)",
                withLoss,
                "max_diff (with loss)",
                maxOf(most, answer - 1, tokens - 1)),
            "  token_diff: %d, token_diff (with loss): %d"
                .formatted(count(other, 0, tokens), count(other, answer - 1, tokens - 1)));
    if (!(withLoss < MOST_MEAN_DIFFERENCE)) {
      throw new UserError(
          String.format(
              Locale.ROOT,
              "The logits of the result differ from the source's by %.3g on average, more than %s, so"
                  + " nothing was written; take --torch_dtype float32, or a wider --test_convert_dtype.",
              withLoss,
              MOST_MEAN_DIFFERENCE));
    }
    return lines;
  }

  private double at(double[] logits, int token, int word) {
    return logits[Math.toIntExact((long) token * vocabulary + word)];
  }

  private static String line(String a, double x, String b, double y) {
    return String.format(Locale.ROOT, "  %s: %.6g, %s: %.6g", a, x, b, y);
  }

  private static double meanOf(double[] values, int from, int to) {
    return Arrays.stream(values, from, to).average().orElseThrow();
  }

  private static double maxOf(double[] values, int from, int to) {
    return Arrays.stream(values, from, to).max().orElseThrow();
  }

  private static long count(boolean[] values, int from, int to) {
    return IntStream.range(from, to).filter(i -> values[i]).count();
  }
}
