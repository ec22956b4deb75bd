package io.panatron.tests.golden;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.generate.Completion;
import io.panatron.runtime.generate.GenerationSettings;
import io.panatron.runtime.generate.Generator;
import io.panatron.runtime.generate.Sampling;
import io.panatron.runtime.generate.TokenListener;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.parallel.RankContext;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/** Whether a sample's bits on the cpu backend are its own. */
class BatchInvarianceTest {
  @ParameterizedTest
  @EnumSource(
      value = DType.class,
      names = {"F32", "BF16"})
  void aBatchInvariantSampleHasTheSameBitsAloneAsAmongOthers(DType dtype) {
    Golden golden = Golden.open("qwen3");
    Backend backend = Backends.cpu(2, System.getenv());
    try (RankContext rank =
            RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
        LoadedModel model =
            LoadedModel.open(
                rank, golden.model(), new LoadedModel.Options(dtype, false, 512, 42, false))) {
      Generator generator = new Generator(rank, model.config(), model.network());
      Random random = new Random(1);
      List<int[]> prompts = new ArrayList<>();
      for (int length : new int[] {3, 60, 1, 17, 200, 31, 2, 9, 90}) {
        prompts.add(random.ints(length, 0, model.config().vocabSize()).toArray());
      }
      List<Completion> together = generator.generate(prompts, settings(32), TokenListener.NONE);
      for (int batchSize : new int[] {1, 3, 7, 25}) {
        assertThat(generator.generate(prompts, settings(batchSize), TokenListener.NONE))
            .as("%s samples at a time", batchSize)
            .usingRecursiveComparison()
            .isEqualTo(together);
      }
      assertThat(generator.generate(prompts.subList(0, 1), settings(32), TokenListener.NONE))
          .usingRecursiveComparison()
          .isEqualTo(together.subList(0, 3));
    }
  }

  private static GenerationSettings settings(int batchSize) {
    return new GenerationSettings(
        Sampling.atTemperature(0.8), 24, Set.of(375, 373), 3, 11, batchSize, true);
  }
}
