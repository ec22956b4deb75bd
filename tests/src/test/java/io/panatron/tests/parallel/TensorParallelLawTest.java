package io.panatron.tests.parallel;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.DType;
import io.panatron.runtime.autograd.TokenLoss;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ModelFamily;
import io.panatron.runtime.model.VocabularyGrowth;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.lifecycle.AfterTry;
import net.jqwik.api.lifecycle.BeforeTry;

/**
 * Losses, logits, gradients and trained weights of ranks that share a model's matrices are those of
 * one rank.
 */
class TensorParallelLawTest {
  /** The same sums of doubles in another order. */
  private static final double EXACT = 1e-10;

  /** The same sums of floats in another order. */
  private static final double FLOAT = 1e-5;

  /** The unit roundoff of bfloat16. */
  private static final double BF16 = 0x1p-8;

  private static final List<ModelFamily> FAMILIES = List.of(ModelFamily.values());

  private Path folder = Path.of(".");

  @BeforeTry
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory("tensor-parallel");
  }

  @AfterTry
  void deleteFolder() throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      for (Path file : files.toList()) {
        Files.delete(file);
      }
    }
    Files.delete(folder);
  }

  @Property(tries = 40)
  void allIsAsOnOneRank(
      @ForAll @IntRange(min = 2, max = 4) int ranks,
      @ForAll boolean sequence,
      @ForAll boolean tied,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll TokenLoss loss,
      @ForAll long seed)
      throws IOException {
    TensorParallelCase example =
        TensorParallelCase.exact(config(family, ranks, tied, seed), seed).with(loss);
    verify(example, ranks, sequence, EXACT);
  }

  /** Each rank drops its heads' and its tokens' part of what one rank drops. */
  @Property(tries = 15)
  void theSameIsDropped(
      @ForAll @IntRange(min = 2, max = 4) int ranks,
      @ForAll boolean sequence,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll long seed)
      throws IOException {
    TensorParallelCase example =
        TensorParallelCase.exact(config(family, ranks, true, seed), seed)
            .with(new DropoutRates(0.3, 0.2));
    verify(example, ranks, sequence, EXACT);
  }

  @Property(tries = 15)
  void recomputingChangesNoBit(
      @ForAll @IntRange(min = 2, max = 3) int ranks,
      @ForAll boolean sequence,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll long seed)
      throws IOException {
    ModelConfig config = config(family, ranks, true, seed);
    TensorParallelCase all =
        TensorParallelCase.exact(config, seed)
            .with(new DropoutRates(0.1, 0.1))
            .on(RankDevices.CPU, DType.F32);
    all.save(folder);
    ParallelSizes sizes = sizes(ranks, sequence);
    TensorParallelCase.Outcome kept = all.run(folder, sizes);
    for (RecomputePlan plan :
        List.of(
            RecomputePlan.uniform(config.numLayers(), 1),
            RecomputePlan.selective(EnumSet.of(RecomputeModule.MLP)),
            RecomputePlan.selective(EnumSet.allOf(RecomputeModule.class)))) {
      TensorParallelCase.Outcome again = all.with(plan).run(folder, sizes);
      assertThat(again.steps())
          .as(plan.describe())
          .usingRecursiveComparison()
          .isEqualTo(kept.steps());
      assertThat(again.weights())
          .as(plan.describe())
          .usingRecursiveComparison()
          .isEqualTo(kept.weights());
    }
  }

  /**
   * Where one rank's own rounding is larger, as in gradients that nearly cancel out, up to that.
   */
  @Property(tries = 20)
  void floatsOnTheCpuAreAsOnOneRank(
      @ForAll @IntRange(min = 2, max = 4) int ranks,
      @ForAll boolean sequence,
      @ForAll boolean tied,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll long seed)
      throws IOException {
    TensorParallelCase example =
        TensorParallelCase.exact(config(family, ranks, tied, seed), seed)
            .on(RankDevices.CPU, DType.F32);
    example.save(folder);
    TensorParallelCase.Outcome exact =
        example.on(RankDevices.REFERENCE, DType.F64).run(folder, ParallelSizes.SINGLE);
    TensorParallelCase.Outcome one = example.run(folder, ParallelSizes.SINGLE);
    TensorParallelCase.Outcome several = example.run(folder, sizes(ranks, sequence));
    compareNorms("losses", several.losses(), one.losses(), FLOAT);
    compareNorms("logits", several.logits(), one.logits(), FLOAT);
    compareNorms("steps", several.steps().getFirst(), one.steps().getFirst(), FLOAT);
    double largest = largest(exact.gradients());
    exact
        .gradients()
        .forEach((name, values) -> {
          double[] alone = one.gradients().get(name);
          double rounding = 4 * norm(difference(alone, values)) / FLOAT;
          double scale = Math.max(rounding, 0.01 * largest);
          compareNorms(name, several.gradients().get(name), values, FLOAT, scale);
        });
  }

  /** Sums of bfloat16 are rounded on their way between ranks: as much as all else is. */
  @Property(tries = 10)
  void bfloat16ErrsAsOnOneRank(
      @ForAll @IntRange(min = 2, max = 3) int ranks,
      @ForAll boolean sequence,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll long seed)
      throws IOException {
    TensorParallelCase example =
        TensorParallelCase.exact(config(family, ranks, true, seed), seed)
            .on(RankDevices.CPU, DType.BF16);
    example.save(folder);
    TensorParallelCase.Outcome exact =
        example.on(RankDevices.REFERENCE, DType.F64).run(folder, ParallelSizes.SINGLE);
    TensorParallelCase.Outcome one = example.run(folder, ParallelSizes.SINGLE);
    TensorParallelCase.Outcome several = example.run(folder, sizes(ranks, sequence));
    verifyError("losses", several.losses(), one.losses(), exact.losses());
    verifyError(
        "gradients",
        together(several.gradients()),
        together(one.gradients()),
        together(exact.gradients()));
  }

  private static void verifyError(String what, double[] several, double[] one, double[] exact) {
    double alone = norm(difference(one, exact));
    assertThat(norm(difference(several, exact)))
        .as("error of %s; on one rank it is %s of %s", what, alone, norm(exact))
        .isLessThanOrEqualTo(4 * alone + 4 * BF16 * norm(exact));
  }

  private void verify(TensorParallelCase example, int ranks, boolean sequence, double tolerance)
      throws IOException {
    example.save(folder);
    TensorParallelCase.Outcome one = example.run(folder, ParallelSizes.SINGLE);
    TensorParallelCase.Outcome several = example.run(folder, sizes(ranks, sequence));
    assertSameBits(several, one);
    compareNorms("losses", several.losses(), one.losses(), tolerance);
    compareNorms("logits", several.logits(), one.logits(), tolerance);
    for (int step = 0; step < one.steps().size(); step++) {
      // Later steps follow updates by Adam, which divides by gradients that may be nearly zero.
      double allowed = step < 2 ? tolerance : 1e4 * tolerance;
      compareNorms("step " + step, several.steps().get(step), one.steps().get(step), allowed);
    }
    compareNorms("gradients", several.gradients(), one.gradients(), tolerance);
  }

  /** What ranks load, or draw where there is nothing to load, is what one rank does. */
  private static void assertSameBits(
      TensorParallelCase.Outcome several, TensorParallelCase.Outcome one) {
    assertThat(several.loaded()).usingRecursiveComparison().isEqualTo(one.loaded());
  }

  @Property(tries = 15)
  void randomWeightsAreThoseOfOneRank(
      @ForAll @IntRange(min = 2, max = 4) int ranks,
      @ForAll boolean tied,
      @ForAll @IntRange(max = 1000) int family,
      @ForAll long seed) {
    TensorParallelCase example =
        TensorParallelCase.exact(config(family, ranks, tied, seed), seed)
            .on(RankDevices.CPU, DType.F32);
    assertSameBits(
        example.run(folder, sizes(ranks, false)), example.run(folder, ParallelSizes.SINGLE));
  }

  /** Rows of new tokens, too: behind those of the files, and in place of zeros among them. */
  @Property(tries = 10)
  void rowsOfNewTokensAreThoseOfOneRank(
      @ForAll @IntRange(min = 2, max = 4) int ranks,
      @ForAll boolean tied,
      @ForAll @IntRange(min = 1, max = 9) int more,
      @ForAll long seed)
      throws IOException {
    TensorParallelCase example = TensorParallelCase.exact(config(2, ranks, tied, seed), seed);
    example.save(folder);
    int rows = example.config().vocabSize();
    List<Integer> ids = IntStream.range(rows - 1, rows + more).boxed().toList();
    VocabularyGrowth growth = new VocabularyGrowth(rows, rows + more, ids);
    Map<String, double[]> one = example.grown(folder, ParallelSizes.SINGLE, growth);
    assertThat(one.get("model.embed_tokens.weight"))
        .hasSize((rows + more) * example.config().hiddenSize());
    assertThat(example.grown(folder, sizes(ranks, false), growth))
        .usingRecursiveComparison()
        .isEqualTo(one);
  }

  private static ModelConfig config(int family, int ranks, boolean tied, long seed) {
    return TensorParallelCase.config(
        FAMILIES.get(family % FAMILIES.size()), ranks, tied, new SplittableRandom(seed));
  }

  private static ParallelSizes sizes(int ranks, boolean sequence) {
    return ParallelSizes.ofWorld(ranks).tensor(ranks).sequenceParallel(sequence).build();
  }

  private static double[] together(Map<String, double[]> tensors) {
    return tensors.values().stream().flatMapToDouble(Arrays::stream).toArray();
  }

  /**
   * Tensor by tensor. A gradient that cancels out, as that of keys where each token sees one, is
   * rounding alone, and therefore compared with a hundredth of the largest.
   */
  private static void compareNorms(
      String what, Map<String, double[]> actual, Map<String, double[]> expected, double tolerance) {
    assertThat(actual.keySet()).isEqualTo(expected.keySet());
    double largest = largest(expected);
    expected.forEach((name, values) ->
        compareNorms(what + " of " + name, actual.get(name), values, tolerance, 0.01 * largest));
  }

  private static void compareNorms(
      String what, double[] actual, double[] expected, double tolerance) {
    compareNorms(what, actual, expected, tolerance, 0);
  }

  /** That the difference is small against what is expected, or against {@code scale}. */
  private static void compareNorms(
      String what, double[] actual, double[] expected, double tolerance, double scale) {
    assertThat(actual).as(what).hasSameSizeAs(expected);
    assertThat(norm(difference(actual, expected)))
        .as("%s: norm of the difference; of the values %s", what, norm(expected))
        .isLessThanOrEqualTo(tolerance * Math.max(norm(expected), scale));
  }

  private static double largest(Map<String, double[]> tensors) {
    return tensors.values().stream().mapToDouble(TensorParallelLawTest::norm).max().orElse(0);
  }

  private static double[] difference(double[] actual, double[] expected) {
    double[] difference = new double[expected.length];
    for (int i = 0; i < difference.length; i++) {
      difference[i] = actual[i] - expected[i];
    }
    return difference;
  }

  private static double norm(double[] values) {
    double squares = 0;
    for (double value : values) {
      squares += value * value;
    }
    return Math.sqrt(squares);
  }
}
