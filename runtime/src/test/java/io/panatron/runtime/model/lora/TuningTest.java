package io.panatron.runtime.model.lora;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.ParameterLayout;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Which modules are meant by names of both kinds, and which parameters are trained then. */
class TuningTest {
  private static final String LAYER = "model.layers.0.";

  @TempDir Path folder;
  private ModelConfig qwen;
  private ModelConfig gpt2;

  @BeforeEach
  void readConfigurations() throws IOException {
    qwen =
        read(
            """
            {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 8,
             "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 20}
            """);
    gpt2 =
        read(
            """
            {"architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "n_embd": 8, "n_layer": 2,
             "n_head": 2, "vocab_size": 20, "n_positions": 16}
            """);
  }

  private ModelConfig read(String json) throws IOException {
    return ModelConfig.read(Files.writeString(folder.resolve("config.json"), json));
  }

  private static List<String> modules(List<AdaptedModule> found) {
    return found.stream().map(AdaptedModule::module).toList();
  }

  @Test
  void megatronsNamesJoinTheProjectionsOfAModuleUnderOneA() {
    List<AdaptedModule> found = TargetModules.named(qwen, List.of("linear_qkv"));
    assertThat(modules(found))
        .containsExactly(LAYER + "self_attn.qkv_proj", "model.layers.1.self_attn.qkv_proj");
    assertThat(found.getFirst().groups()).hasSize(1);
    assertThat(found.getFirst().blocks().getFirst().count()).isEqualTo(8 + 4 + 4);
    assertThat(TargetModules.named(qwen, List.of("all-linear"))).hasSize(8);
  }

  @Test
  void huggingFacesNamesGiveEachProjectionAnAOfItsOwn() {
    AdaptedModule found = TargetModules.named(qwen, List.of("q_proj", "v_proj")).getFirst();
    assertThat(found.hfModules())
        .containsExactly(LAYER + "self_attn.q_proj", LAYER + "self_attn.v_proj");
    assertThat(found.blocks()).extracting(block -> block.first()).containsExactly(0, 12);
    List<ParameterLayout> layouts = found.layouts(4, true);
    assertThat(layouts.getFirst().shape()).containsExactly(8, 8);
    assertThat(layouts.getLast().shape()).containsExactly(12, 4);
  }

  @Test
  void aSharedAStandsInFilesOnceForEachProjectionAndInStateOnce() {
    AdaptedModule found = TargetModules.named(qwen, List.of("linear_qkv")).getFirst();
    assertThat(found.layouts(4, true)).hasSize(4);
    assertThat(found.layouts(4, false)).hasSize(2);
  }

  @Test
  void anEndOfANameMayMeanSeveralModules() {
    assertThat(modules(TargetModules.named(gpt2, List.of("c_proj"))))
        .contains("model.layers.0.self_attn.o_proj", "model.layers.0.mlp.down_proj")
        .hasSize(4);
    assertThat(TargetModules.named(gpt2, List.of("wte")).getFirst().embedding()).isTrue();
  }

  @Test
  void expressionsMatchWholeNamesOfEitherKind() {
    assertThat(modules(TargetModules.matching(qwen, "decoder\\.layers\\.1\\..*linear_fc.")))
        .containsExactly("model.layers.1.mlp.gate_up_proj", "model.layers.1.mlp.down_proj");
    AdaptedModule up = TargetModules.matching(qwen, ".*layers.0.mlp.up_proj").getFirst();
    assertThat(up.blocks().getFirst().first()).isEqualTo(12);
  }

  @Test
  void theNamesOfAPlanFindItAgain() {
    LoraSettings settings = new LoraSettings(4, 8, 0, false, false);
    for (List<String> names :
        List.of(
            List.of("all-linear"),
            List.of("q_proj", "linear_fc1"),
            List.of("decoder.layers.1.mlp.linear_fc2", "model.layers.0.mlp.gate_proj"))) {
      AdapterPlan plan = AdapterPlan.named(qwen, settings, names, List.of(), null);
      assertThat(TargetModules.named(qwen, plan.targetNames(qwen))).isEqualTo(plan.modules());
    }
  }

  @Test
  void tiedEmbeddingsAreTrainedAsOneAndSavedUnderBothNames() {
    LoraSettings settings = new LoraSettings(4, 8, 0, true, false);
    List<String> saved = List.of("word_embeddings", "output_layer");
    AdapterPlan plan = AdapterPlan.named(gpt2, settings, List.of("c_attn"), saved, null);
    assertThat(plan.savedModules()).containsExactly("transformer.wte", "lm_head");
    assertThat(plan.trainedBase())
        .contains("model.embed_tokens.weight", "model.norm.bias")
        .doesNotContain("model.norm.weight");
    Set<String> files = ParameterLayout.hfShapes(plan.fileLayouts(gpt2)).keySet();
    assertThat(files)
        .contains(
            "base_model.model.transformer.wte.weight",
            "base_model.model.lm_head.weight",
            "base_model.model.transformer.h.0.attn.c_attn.base_layer.bias",
            "base_model.model.transformer.h.0.mlp.c_fc.bias");
    assertThat(plan.stateLayouts(gpt2).stream().map(ParameterLayout::name)).doesNotHaveDuplicates();
  }

  private Set<String> frozen(
      double share, List<String> prefixes, @Nullable String regex, String... trained) {
    return new PartialTuning(share, prefixes, regex, List.of(trained), null).of(qwen).frozen();
  }

  @Test
  void aShareFreezesWhatLiesWhollyWithinIt() {
    long all = ParameterLayout.parameterCount(qwen);
    assertThat(frozen(160.5 / all, List.of(), null)).containsExactly("model.embed_tokens.weight");
    assertThat(frozen(159.5 / all, List.of(), null)).isEmpty();
    assertThat(frozen(1, List.of(), null, "output_layer"))
        .hasSize(ParameterLayout.of(qwen).size() - 1)
        .doesNotContain("lm_head.weight");
  }

  @Test
  void parametersAreFrozenByNamesOfEitherKind() {
    assertThat(frozen(0, List.of("decoder.layers.0.self_attention.linear_qkv."), null))
        .containsExactlyInAnyOrder(
            LAYER + "self_attn.qkv_proj.weight", LAYER + "input_layernorm.weight");
    assertThat(frozen(0, List.of("model.layers.0.mlp.down_proj"), null))
        .containsExactly(LAYER + "mlp.down_proj.weight");
    assertThat(frozen(0, List.of(), "layernorm\\.weight$"))
        .contains("model.norm.weight")
        .hasSize(9);
    assertThat(frozen(0, List.of("decoder."), null, "decoder.layers.1.")).hasSize(9);
  }
}
