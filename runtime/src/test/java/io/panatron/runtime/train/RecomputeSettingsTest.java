package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.nn.RecomputeModule;
import io.panatron.runtime.nn.RecomputePlan;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class RecomputeSettingsTest {
  private static final int LAYERS = 12;

  private static RecomputePlan plan(
      String granularity, @Nullable String method, @Nullable Integer layers, String... modules) {
    return new RecomputeSettings(granularity, method, layers, List.of(modules)).planFor(LAYERS);
  }

  @Test
  void eachGranularityBecomesItsPlan() {
    assertThat(plan("none", null, null, "core_attn")).isEqualTo(RecomputePlan.NONE);
    assertThat(plan("full", "uniform", 1, "core_attn")).isEqualTo(RecomputePlan.uniform(LAYERS, 1));
    assertThat(plan("full", "uniform", 4, "core_attn")).isEqualTo(RecomputePlan.uniform(LAYERS, 4));
    assertThat(plan("full", "block", 5, "core_attn")).isEqualTo(RecomputePlan.block(5));
    assertThat(plan("full", "block", LAYERS, "core_attn"))
        .isEqualTo(RecomputePlan.uniform(LAYERS, 1));
    assertThat(plan("selective", null, null, "mlp", "layernorm", "mlp"))
        .isEqualTo(RecomputePlan.selective(Set.of(RecomputeModule.LAYERNORM, RecomputeModule.MLP)));
    assertThat(plan("selective", null, null, "core_attn"))
        .isEqualTo(RecomputePlan.selective(Set.of(RecomputeModule.CORE_ATTN)));
    assertThat(plan("selective", null, null)).isEqualTo(RecomputePlan.NONE);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "full | | | core_attn | and both are unset; add both.",
        "full | uniform | | core_attn | and one is unset; add --recompute_num_layers.",
        "full | | 2 | core_attn | and one is unset; add --recompute_method.",
        "full | uniform | 5 | core_attn | does not divide the model's 12 layers",
        "full | uniform | 5 | core_attn | take one of 1, 2, 3, 4, 6, 12.",
        "full | uniform | 24 | core_attn | more than the model's 12 layers; take at most 12.",
        "full | block | 13 | core_attn | more than the model's 12 layers",
        "full | block | 2 | mlp | --recompute_modules mlp is about --recompute_granularity selective",
        "none | | | mlp | which is none here",
        "none | uniform | | core_attn | --recompute_method uniform is about --recompute_granularity full",
        "selective | | 1 | core_attn | --recompute_num_layers 1 is about --recompute_granularity full",
        "selective | | | moe | --recompute_modules moe is not supported",
        "some | | | core_attn | its choices are full, selective, none.",
      })
  void whatCannotBeMeantIsRefusedInOneSentence(
      String granularity,
      @Nullable String method,
      @Nullable Integer layers,
      String module,
      String message) {
    assertThatThrownBy(() -> plan(granularity, method, layers, module))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(message)
        .message()
        .endsWith(".");
  }

  @Test
  void aPlanIsDescribedInWords() {
    assertThat(RecomputePlan.NONE.describe()).isEqualTo("recomputing nothing");
    assertThat(RecomputePlan.uniform(12, 4).describe())
        .isEqualTo("recomputing 12 layers in units of 4");
    assertThat(RecomputePlan.block(1).describe()).isEqualTo("recomputing 1 layer in units of 1");
    assertThat(
            RecomputePlan.selective(Set.of(RecomputeModule.MLP, RecomputeModule.CORE_ATTN))
                .describe())
        .isEqualTo("recomputing core_attn, mlp");
    assertThatThrownBy(() -> new RecomputePlan(5, 2, Set.of()))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
