package io.panatron.runtime.config;

import static io.panatron.runtime.config.Given.sft;
import static io.panatron.runtime.config.Given.typed;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ParameterValuesTest {
  @ParameterizedTest
  @ValueSource(strings = {"true", "True", "TRUE", "yes", "1", "t", "y"})
  void wordsForTrueAreTrue(String text) {
    assertThat(sft(typed("finetune", text)).flag("finetune")).isTrue();
  }

  @ParameterizedTest
  @ValueSource(strings = {"false", "False", "no", "0", "f", "n"})
  void wordsForFalseAreFalse(String text) {
    assertThat(sft(typed("add_version", text)).flag("add_version")).isFalse();
  }

  @Test
  void numbersAreReadInEveryDecimalNotation() {
    assertThat(sft(typed("lr", "1e-3")).number("lr")).isEqualTo(0.001);
    assertThat(sft(typed("lr", ".5")).number("lr")).isEqualTo(0.5);
    assertThat(sft(typed("eval_iters", "-1")).integer("eval_iters")).isEqualTo(-1);
    assertThat(sft(typed("seed", "4294967295")).wholeNumber("seed")).isEqualTo(4294967295L);
  }

  @Test
  void listsAreWordsOrOneJsonArray() {
    assertThat(sft(typed("dataset", "a.jsonl", "b.jsonl#5")).list("dataset"))
        .containsExactly("a.jsonl", "b.jsonl#5");
    assertThat(sft(typed("dataset", "[\"a b\", \"c\"]")).list("dataset"))
        .containsExactly("a b", "c");
    assertThat(sft(typed("val_dataset", "[]")).list("val_dataset")).isEmpty();
  }

  @ParameterizedTest
  @ValueSource(strings = {"None", "null"})
  void noneUnsetsWhatMayBeUnset(String text) {
    assertThat(sft(typed("lr", text)).numberOrNull("lr")).isNull();
    assertThat(sft(typed("fp16", text)).flagOrNull("fp16")).isNull();
    assertThat(sft(typed("val_dataset", text)).list("val_dataset")).isEmpty();
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "micro_batch_size | two       | a whole number",
        "micro_batch_size | 1.0       | a whole number",
        "micro_batch_size | 0         | at least 1",
        "micro_batch_size | -3        | at least 1",
        "global_batch_size| 3000000000| at most 2147483647",
        "lr               | fast      | a number",
        "lr               | NaN       | finite",
        "lr               | 1e999     | finite",
        "lr               | 1d        | decimal",
        "lr               | -1e-3     | at least 0",
        "lr               | Infinity  | finite",
        "split_dataset_ratio | 1      | below 1",
        "adam_beta2       | 1.0       | below 1",
        "adam_eps         | 0         | above 0",
        "seed             | -1        | at least 0 and at most 4294967295",
        "eval_iters       | -2        | at least -1",
        "bf16             | maybe     | true or false",
        "optimizer        | adamw     | did you mean adam?",
        "lr_decay_style   | cosin     | did you mean cosine?",
        "attention_backend| flashy    | flash, fused, unfused, local, auto",
        "dataset          | [\"a\"    | JSON",
        "rope_scaling     | {a:1}     | JSON",
        "micro_batch_size | None      | cannot be unset",
      })
  void malformedValuesAreRefusedWithNameValueAndReason(String name, String text, String reason) {
    assertThatThrownBy(() -> sft(typed(name, text)))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--" + name)
        .hasMessageContaining(reason);
  }

  @Test
  void emptyListItemsAreRefused() {
    assertThatThrownBy(() -> sft(typed("dataset", "a", "")))
        .hasMessageContaining("one of its items is empty");
  }

  @Test
  void severalValuesForOneAreRefused() {
    assertThatThrownBy(() -> sft(Given.inFile("lr", "1", "2")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("lr (in the --config file)")
        .hasMessageContaining("takes one value, and 2 were given");
  }
}
