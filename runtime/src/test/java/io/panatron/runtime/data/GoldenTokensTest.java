package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Ids and masks of tokens.json come from Hugging Face transformers. */
class GoldenTokensTest {

  @ParameterizedTest
  @CsvSource({
    "qwen2, default, chatml", "qwen2, last_round, chatml", "qwen2, default,",
    "qwen3, default, chatml", "qwen3, last_round, chatml", "qwen3, last_round,",
    "llama3, default, chatml", "llama3, last_round, chatml", "llama3, default,",
  })
  void idsAndMasksAreExact(String model, String lossScale, @Nullable String template) {
    DataSettings base = Fixtures.settings(Fixtures.path(model + "/train.jsonl"));
    DataSettings settings =
        new DataSettings(
            false,
            base.dataset(),
            base.valDataset(),
            0,
            42,
            false,
            false,
            null,
            null,
            Truncation.DELETE,
            LossScale.parse(lossScale),
            true,
            Reading.DEFAULT);
    try (HfTokenizer tokenizer = Fixtures.tokenizer(model);
        DataPipeline data =
            DataPipeline.open(settings, tokenizer, Fixtures.template(template, tokenizer))) {
      JsonNode golden = Fixtures.json(model + "/tokens.json");
      assertThat(data.training().size()).isEqualTo(16).isEqualTo(golden.size());
      for (int i = 0; i < 16; i++) {
        EncodedSample sample = data.training().get(i);
        assertThat(sample.ids()).as("row %d", i).isEqualTo(ints(golden.get(i).get("ids")));
        int[] mask = new int[sample.length()];
        for (int t = 0; t < mask.length; t++) {
          mask[t] = (int) sample.weights()[t];
        }
        assertThat(mask).as("row %d", i).isEqualTo(ints(golden.get(i).get(lossScale)));
      }
    }
  }

  private static int[] ints(JsonNode list) {
    int[] values = new int[list.size()];
    for (int i = 0; i < values.length; i++) {
      values[i] = list.get(i).asInt();
    }
    return values;
  }
}
