package io.panatron.runtime.config;

import static io.panatron.runtime.config.Given.TABLE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.HashSet;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ParameterTableTest {
  @Test
  void noRowStandsTwice() {
    Set<String> seen = new HashSet<>();
    for (Parameter p : TABLE.all()) {
      assertThat(seen.add(p.scope() + " " + p.name())).as("%s %s", p.scope(), p.name()).isTrue();
      assertThat(p.meaning()).as(p.name()).endsWith(".");
    }
  }

  @Test
  void everyDefaultIsAValueOfItsParameter() {
    for (Parameter p : TABLE.all()) {
      Object value = p.defaultValue();
      if (value instanceof Number number && p.range() != null) {
        assertThat(p.range().contains(number.doubleValue())).as(p.name()).isTrue();
      }
    }
  }

  static List<String> commands() {
    return ParameterTable.commands();
  }

  @ParameterizedTest
  @MethodSource("commands")
  void everyCommandHasOneRowPerNameAndDistinctAliases(String command) {
    ParameterSet set = TABLE.forCommand(command);
    assertThat(set.parameters())
        .extracting(Parameter::name)
        .doesNotHaveDuplicates()
        .contains("lr", "model", "device");
    assertThat(set.find("output_dir")).isSameAs(set.find("save"));
  }

  @ParameterizedTest
  @CsvSource({
    "rlhf:dpo,beta,0.1",
    "rlhf:grpo,beta,0.04",
    "rlhf:gkd,beta,0.5",
    "rlhf:grpo,truncation_strategy,left",
    "rlhf:dpo,truncation_strategy,delete",
    "rlhf:dpo,loss_scale,last_round",
    "rlhf:kto,calculate_per_token_loss,False",
    "sft,calculate_per_token_loss,True",
    "sft,truncation_strategy,delete",
    "export,seed,42",
  })
  void aNameHasTheDefaultOfTheMostSpecificScope(String command, String name, String text) {
    Parameter parameter = TABLE.forCommand(command).find(name);
    assertThat(Objects.requireNonNull(parameter).defaultText()).isEqualTo(text);
  }

  @Test
  void rangesReadAsWords() {
    assertThat(ValueRange.parse("[0,1)").describe()).isEqualTo("at least 0 and below 1");
    assertThat(ValueRange.parse("(0,)").describe()).isEqualTo("above 0");
    assertThat(ValueRange.parse("[1,)").contains(Double.NaN)).isFalse();
    assertThat(ValueRange.parse("(0,1]").contains(0)).isFalse();
    assertThat(ValueRange.parse("(0,1]").contains(1)).isTrue();
    assertThatThrownBy(() -> ValueRange.parse("0..1")).isInstanceOf(IllegalArgumentException.class);
  }
}
