package io.panatron.runtime.model;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.kernels.AttentionLayout;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.nn.MlpActivation;
import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;

class ModelConfigTest {
  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir Path folder;

  static JsonNode resource(String name) throws IOException {
    try (InputStream in = ModelConfigTest.class.getResourceAsStream("/model/" + name)) {
      return JSON.readTree(in);
    }
  }

  private ModelConfig read(JsonNode config) throws IOException {
    Files.write(folder.resolve("config.json"), JSON.writeValueAsBytes(config));
    return ModelConfig.read(folder);
  }

  private ModelConfig read(String json) throws IOException {
    return read(JSON.readTree(json.replace('\'', '"')));
  }

  private ObjectNode fixture(String name) throws IOException {
    return (ObjectNode) resource(name + "-config.json");
  }

  @Test
  void theLlama3FixtureIsReadInFull() throws IOException {
    assertThat(read(fixture("llama3")))
        .isEqualTo(
            new ModelConfig(
                ModelFamily.LLAMA,
                344,
                64,
                132,
                3,
                4,
                2,
                16,
                512,
                1e-3,
                500_000.0,
                new RopeScaling.Llama3(8, 1, 4, 64),
                null,
                false,
                false,
                false,
                false,
                false,
                new MlpActivation.Gated(),
                16,
                0.02,
                SafetensorsDtype.F32,
                null,
                List.of(339),
                337,
                HeadKind.VOCABULARY));
  }

  @Test
  void theQwen2FixtureIsReadInFull() throws IOException {
    assertThat(read(fixture("qwen2")))
        .isEqualTo(
            new ModelConfig(
                ModelFamily.QWEN2,
                360,
                72,
                116,
                3,
                6,
                2,
                12,
                512,
                1e-6,
                1_000_000.0,
                null,
                null,
                true,
                true,
                false,
                false,
                false,
                new MlpActivation.Gated(),
                12,
                0.02,
                SafetensorsDtype.F32,
                null,
                List.of(351),
                349,
                HeadKind.VOCABULARY));
  }

  @Test
  void theQwen3FixtureIsReadInFull() throws IOException {
    ModelConfig config = read(fixture("qwen3"));
    assertThat(config)
        .isEqualTo(
            new ModelConfig(
                ModelFamily.QWEN3,
                384,
                64,
                104,
                3,
                6,
                2,
                16,
                512,
                1e-6,
                1_000_000.0,
                null,
                null,
                false,
                false,
                false,
                false,
                true,
                new MlpActivation.Gated(),
                16,
                0.02,
                SafetensorsDtype.F32,
                null,
                List.of(375),
                373,
                HeadKind.VOCABULARY));
    assertThat(config.queriesPerKeyValueHead()).isEqualTo(3);
    assertThat(config.queryRows()).isEqualTo(96);
    assertThat(config.keyValueRows()).isEqualTo(32);
  }

  @Test
  void anArchitectureSaysWhatStandsBehindTheFinalNorm() throws IOException {
    ObjectNode json = fixture("llama3");
    assertThat(read(json).output()).isEqualTo(HeadKind.VOCABULARY);
    json.putArray("architectures").add("LlamaModel");
    assertThat(read(json).output()).isEqualTo(HeadKind.NONE);
    json.putArray("architectures").add("LlamaForSequenceClassification");
    assertThat(read(json).output()).isEqualTo(new HeadKind.Scores(2));
    json.put("num_labels", 5);
    assertThat(read(json).output()).isEqualTo(new HeadKind.Scores(5));
    json.putObject("id2label").put("0", "no").put("1", "yes").put("2", "perhaps");
    assertThat(read(json).output()).isEqualTo(new HeadKind.Scores(3));
    ModelConfig classifier = read(json);
    assertThat(ParameterLayout.hfShapes(classifier).get("score.weight"))
        .containsExactly(3, classifier.hiddenSize());
    assertThat(ParameterLayout.hfShapes(classifier)).doesNotContainKey("lm_head.weight");
    assertThatThrownBy(() -> classifier.languageModel(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("sequence classifier (LlamaForSequenceClassification)");
    assertThatThrownBy(() -> classifier.withOutput(HeadKind.NONE).languageModel(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("base model (LlamaModel)");
  }

  @ParameterizedTest
  @EnumSource
  void absentKeysTakeTheDefaultsOfTransformers(ModelFamily family) throws IOException {
    JsonNode expected =
        resource("transformers-defaults.json").get("defaults").get(family.modelType());
    ModelConfig config = read("{'model_type':'" + family.modelType() + "'}");
    assertThat(config.vocabSize()).isEqualTo(expected.get("vocab_size").intValue());
    assertThat(config.hiddenSize()).isEqualTo(expected.get("hidden_size").intValue());
    assertThat(config.intermediateSize()).isEqualTo(expected.get("intermediate_size").intValue());
    assertThat(config.numLayers()).isEqualTo(expected.get("num_hidden_layers").intValue());
    assertThat(config.numHeads()).isEqualTo(expected.get("num_attention_heads").intValue());
    assertThat(config.numKeyValueHeads()).isEqualTo(expected.get("num_key_value_heads").intValue());
    assertThat(config.headDim()).isEqualTo(expected.get("head_dim").asInt(4096 / 32));
    double rotated = expected.get("rope_parameters").path("partial_rotary_factor").asDouble(1);
    assertThat(config.rotaryDim())
        .isEqualTo(family == ModelFamily.GPT2 ? 0 : (int) (rotated * config.headDim()));
    assertThat(config.maxPositionEmbeddings())
        .isEqualTo(expected.get("max_position_embeddings").intValue());
    assertThat(config.normEpsilon()).isEqualTo(expected.get("rms_norm_eps").doubleValue());
    assertThat(config.ropeTheta())
        .isEqualTo(expected.get("rope_parameters").get("rope_theta").doubleValue());
    assertThat(config.ropeScaling()).isNull();
    assertThat(config.tieWordEmbeddings())
        .isEqualTo(expected.get("tie_word_embeddings").booleanValue());
    assertThat(config.outputBias()).isEqualTo(expected.get("attention_bias").asBoolean());
    assertThat(config.mlpBias()).isEqualTo(expected.get("mlp_bias").asBoolean());
    assertThat(config.initializerRange())
        .isEqualTo(expected.get("initializer_range").doubleValue());
    assertThat(config.bosTokenId())
        .isEqualTo(
            expected.get("bos_token_id").isNull() ? null : expected.get("bos_token_id").intValue());
    List<Integer> eosTokenIds = new ArrayList<>();
    JsonNode eos = expected.get("eos_token_id");
    eos.forEach(id -> eosTokenIds.add(id.intValue()));
    if (eos.isInt()) {
      eosTokenIds.add(eos.intValue());
    }
    assertThat(config.eosTokenIds()).isEqualTo(eosTokenIds);
    JsonNode pad = expected.path("pad_token_id");
    assertThat(config.padTokenId()).isEqualTo(pad.isInt() ? pad.intValue() : null);
    assertThat(config.dtype()).isNull();
  }

  @Test
  void nullKeyValueHeadsAreAsManyAsQueryHeads() throws IOException {
    ObjectNode json = fixture("qwen2").putNull("num_key_value_heads");
    assertThat(read(json).numKeyValueHeads()).isEqualTo(6);
  }

  @Test
  void attentionBiasGivesLlamaAndQwen3BiasesOnAllFourProjectionsAndQwen2IgnoresIt()
      throws IOException {
    for (String name : List.of("llama3", "qwen3")) {
      ModelConfig config = read(fixture(name).put("attention_bias", true));
      assertThat(config.qkvBias()).isTrue();
      assertThat(config.outputBias()).isTrue();
    }
    assertThat(read(fixture("qwen2").put("attention_bias", true)).outputBias()).isFalse();
  }

  @Test
  void theOlderRopeKeysAloneSuffice() throws IOException {
    ObjectNode json = fixture("llama3");
    ModelConfig both = read(json);
    json.remove("rope_parameters");
    assertThat(read(json)).isEqualTo(both);
    ((ObjectNode) json.get("rope_scaling")).put("type", "llama3").remove("rope_type");
    assertThat(read(json)).isEqualTo(both);
  }

  @Test
  void theNewerRopeKeyAloneSuffices() throws IOException {
    ObjectNode json = fixture("llama3");
    ModelConfig both = read(json);
    json.remove(List.of("rope_scaling", "rope_theta"));
    assertThat(read(json)).isEqualTo(both);
  }

  @Test
  void ropeParametersWinOverAnOuterTheta() throws IOException {
    assertThat(read(fixture("qwen3").put("rope_theta", 5.0)).ropeTheta()).isEqualTo(1_000_000.0);
  }

  @Test
  void llama3ScalingWithoutItsOriginalLengthTakesMaxPositions() throws IOException {
    ObjectNode json = fixture("llama3");
    json.remove("rope_parameters");
    ((ObjectNode) json.get("rope_scaling")).remove("original_max_position_embeddings");
    RopeScaling scaling = read(json).ropeScaling();
    assertThat(scaling).isEqualTo(new RopeScaling.Llama3(8, 1, 4, 512));
  }

  @Test
  void severalEndTokensAreKeptInOrder() throws IOException {
    ObjectNode json = fixture("qwen2");
    json.putArray("eos_token_id").add(351).add(349);
    assertThat(read(json).eosTokenIds()).containsExactly(351, 349);
  }

  @Test
  void anInactiveSlidingWindowIsAccepted() throws IOException {
    assertThat(
            read("{'model_type':'qwen2','use_sliding_window':false,'sliding_window':4096}")
                .family())
        .isEqualTo(ModelFamily.QWEN2);
    assertThat(
            read("{'model_type':'qwen2','use_sliding_window':true,'sliding_window':4096,"
                    + "'max_window_layers':32}")
                .family())
        .isEqualTo(ModelFamily.QWEN2);
  }

  @Test
  void aWindowHoldsForTheLayersThatTheConfigurationNames() throws IOException {
    assertThat(read("{'model_type':'mistral','num_hidden_layers':2}").slidingWindow())
        .isEqualTo(new SlidingWindow(4096, List.of(true, true)));
    assertThat(read("{'model_type':'mistral','sliding_window':null}").slidingWindow()).isNull();
    ModelConfig later =
        read(
            "{'model_type':'qwen2','use_sliding_window':true,'sliding_window':7,"
                + "'num_hidden_layers':3,'max_window_layers':2}");
    assertThat(later.window(1)).isEqualTo(AttentionLayout.NO_WINDOW);
    assertThat(later.window(2)).isEqualTo(7);
    assertThat(
            read("{'model_type':'qwen3','use_sliding_window':true,'num_hidden_layers':2,"
                    + "'layer_types':['sliding_attention','full_attention']}")
                .slidingWindow())
        .isEqualTo(new SlidingWindow(4096, List.of(true, false)));
    assertThat(read("{'model_type':'llama','sliding_window':7}").slidingWindow()).isNull();
  }

  @ParameterizedTest
  @ValueSource(strings = {"bfloat16", "float16", "float32"})
  void dtypeComesFromEitherKeyAndTheNewerOneWins(String name) throws IOException {
    assertThat(read("{'model_type':'llama','torch_dtype':'" + name + "'}").dtype())
        .isEqualTo(SafetensorsDtype.ofTorchName(name));
    assertThat(
            read("{'model_type':'llama','torch_dtype':'float64','dtype':'" + name + "'}").dtype())
        .isEqualTo(SafetensorsDtype.ofTorchName(name));
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      value = {
        "hidden_size | 0 | hidden_size is 0, but must be from 1",
        "hidden_size | -64 | hidden_size is -64",
        "hidden_size | \"64\" | hidden_size is \"64\", but must be an integer",
        "hidden_size | 64.5 | hidden_size is 64.5, but must be an integer",
        "hidden_size | null | hidden_size is null, but must be an integer",
        "hidden_size | 99999999999999999999 | must be an integer",
        "hidden_size | 2000000000 | hidden_size is 2000000000, but must be from 1",
        "hidden_size | 66 | hidden_size is 66, but must be a multiple of num_attention_heads 4",
        "vocab_size | 0 | vocab_size is 0",
        "intermediate_size | true | intermediate_size is true, but must be an integer",
        "num_hidden_layers | 0 | num_hidden_layers is 0",
        "num_attention_heads | 0 | num_attention_heads is 0",
        "num_key_value_heads | 3 | must be a multiple of num_key_value_heads 3",
        "num_key_value_heads | 0 | num_key_value_heads is 0",
        "head_dim | 15 | head_dim is 15, but must be even",
        "head_dim | 0 | head_dim is 0",
        "max_position_embeddings | -1 | max_position_embeddings is -1",
        "rms_norm_eps | 0 | rms_norm_eps is 0.0",
        "rms_norm_eps | 1e999 | rms_norm_eps is Infinity",
        "rms_norm_eps | \"small\" | rms_norm_eps is \"small\", but must be a number",
        "initializer_range | -0.1 | initializer_range is -0.1",
        "tie_word_embeddings | 1 | tie_word_embeddings is 1, but must be true or false",
        "attention_bias | \"no\" | attention_bias is \"no\"",
        "hidden_act | \"gelu\" | asks for hidden_act gelu, which is not supported",
        "eos_token_id | -5 | eos_token_id is -5",
        "eos_token_id | [1,\"a\"] | eos_token_id is [1,\"a\"], but must be an integer or a list",
        "dtype | \"float8_e4m3fn\" | asks for dtype float8_e4m3fn, which is not supported",
        "dtype | 7 | dtype is 7, but must be a text",
        "rope_parameters | [1] | rope_parameters is [1], but must be an object",
        "quantization_config | {\"bits\":4} | has a quantization_config, which is not supported",
        "partial_rotary_factor | 0.5 | asks for partial_rotary_factor 0.5, which is not supported",
        "architectures | [\"LlamaForTokenClassification\"] | names the model LlamaForTokenClassification,"
            + " which is not supported; "
            + "supported are LlamaForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM",
        "architectures | \"LlamaForCausalLM\" | architectures is \"LlamaForCausalLM\", but must be"
            + " a list",
        "model_type | \"mamba\" | names the model LlamaForCausalLM, which is not supported",
      })
  void aWrongValueIsOneSentenceNamingFileAndKey(String key, String value, String message)
      throws IOException {
    ObjectNode json = fixture("llama3");
    json.remove("rope_parameters");
    json.set(key, JSON.readTree("[" + value + "]").get(0));
    Path file = folder.resolve("config.json");
    String text = JSON.writeValueAsString(json);
    Files.writeString(file, value.equals("1e999") ? text.replace("\"Infinity\"", value) : text);
    assertThatThrownBy(() -> ModelConfig.read(folder))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith(file + ": ")
        .hasMessageContaining(message)
        .hasMessageEndingWith(".")
        .message()
        .doesNotContain("\n");
  }

  @ParameterizedTest
  @ValueSource(strings = {"mrope", "proportional", "ntk"})
  void otherRopeTypesAreRefusedByName(String type) {
    for (String key : List.of("type", "rope_type")) {
      assertThatThrownBy(() ->
              read(
                  "{'model_type':'qwen2','rope_scaling':{'"
                      + key
                      + "':'"
                      + type
                      + "','factor':2.0}}"))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("asks for rope type " + type + ", which is not supported");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      value = {
        "{'model_type':'qwen3','num_hidden_layers':1,'layer_types':['sliding_attention']} | "
            + "asks for layer type sliding_attention in layer_types without a window",
        "{'model_type':'qwen3','num_hidden_layers':1,'layer_types':['chunked_attention']} | "
            + "layer type \"chunked_attention\"",
        "{'model_type':'mistral','sliding_window':0} | sliding_window is 0, but must be from 1",
        "{'model_type':'mistral','layer_types':[]} | layer_types, which MistralForCausalLM does not",
        "{'model_type':'llama','rope_scaling':{'rope_type':'linear'}} | "
            + "has linear rope scaling without its factor",
        "{'model_type':'llama','rope_scaling':{'rope_type':'dynamic','factor':0.9}} | "
            + "factor of rope scaling is 0.9",
        "{'model_type':'llama','rope_scaling':{'type':'yarn'}} | yarn rope scaling without its factor",
        "{'model_type':'llama','rope_scaling':{'type':'yarn','factor':2,'beta_fast':0.5}} | "
            + "beta_fast is 0.5, but must be at least beta_slow 1.0",
        "{'model_type':'llama','rope_scaling':{'type':'longrope','long_factor':[1]}} | "
            + "longrope rope scaling without its short_factor",
        "{'model_type':'llama','rope_scaling':{'type':'longrope','short_factor':[1],'long_factor':'x'}}"
            + " | long_factor is \"x\", but must be a list of numbers",
        "{'model_type':'llama','rope_scaling':{'type':'longrope','short_factor':[1],'long_factor':[1,2]}}"
            + " | short_factor has 1 numbers, but long_factor has 2",
        "{'model_type':'llama','rope_scaling':{'type':'longrope','short_factor':[1],'long_factor':[2]}}"
            + " | must have one for each pair of head_dim 128",
        "{'model_type':'qwen3','layer_types':['full_attention']} | list of num_hidden_layers 32",
        "{'model_type':'qwen2','num_attention_heads':6,'hidden_size':72} | "
            + "has no num_key_value_heads, which then is 32",
        "{'model_type':'qwen2','num_attention_heads':7,'num_key_value_heads':1} | "
            + "hidden_size is 4096, but must be a multiple",
        "{'model_type':'qwen3','head_dim':null} | head_dim is null, but must be an integer",
        "{'architectures':['BertForMaskedLM']} | names the model BertForMaskedLM",
        "{'model_type':'gpt2','activation_function':'mish'} | activation_function mish, which is not",
        "{'model_type':'gpt2','add_cross_attention':true} | asks for add_cross_attention true",
        "{'model_type':'gpt2','scale_attn_weights':false} | asks for scale_attn_weights false",
        "{'model_type':'gpt2','scale_attn_by_inverse_layer_idx':true} | inverse_layer_idx true",
        "{'model_type':'gpt2','n_embd':770} | n_embd is 770, but must be a multiple of n_head 12",
        "{'model_type':'gpt2','n_layer':0} | n_layer is 0, but must be from 1",
        "{'model_type':'glm','partial_rotary_factor':0.51} | rotates 65 of head_dim 128 elements",
        "{'model_type':'llama','partial_rotary_factor':0.5} | LlamaForCausalLM rotates whole heads",
        "{'model_type':'phi3','rope_scaling':{'type':'linear','factor':2}} | only longrope is",
        "{'model_type':'phi3','rope_scaling':{'type':'longrope','factor':2}} | "
            + "without its original_max_position_embeddings",
        "{'hidden_size':64} | names neither model_type nor architectures",
        "{'model_type':'llama','rope_scaling':{'rope_type':'llama3','factor':8.0}} | "
            + "without its low_freq_factor",
        "{'model_type':'llama','rope_scaling':{'rope_type':'llama3','factor':0.5,"
            + "'low_freq_factor':1.0,'high_freq_factor':4.0}} | factor of rope scaling is 0.5",
        "{'model_type':'llama','rope_scaling':{'rope_type':'llama3','factor':8.0,'low_freq_factor':4.0,'high_freq_factor':1.0}}"
            + " | must be greater than low_freq_factor",
        "{'model_type':'llama','rope_scaling':{'rope_type':'llama3'},"
            + "'rope_parameters':{'rope_type':'default'}} | make them equal",
        "{'model_type':'llama','rope_parameters':{'full_attention':{'rope_theta':1.0}}} | "
            + "per layer type",
      })
  void whatTheTrainerCannotDoIsRefusedByName(String json, String message) {
    assertThatThrownBy(() -> read(json))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @ParameterizedTest
  @ValueSource(
      strings = {"", "[1]", "{\"a\":", "{\"a\":1,\"a\":2}", "{\"a\":NaN}", "{} {}", "not json"})
  void aFileThatIsNoJsonObjectIsOneSentenceNamingIt(String text) throws IOException {
    Path file = Files.writeString(folder.resolve("config.json"), text);
    assertThatThrownBy(() -> ModelConfig.read(folder))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith(file.toString())
        .message()
        .doesNotContain("\n");
  }

  @Test
  void deepNestingIsRefusedNotFollowed() throws IOException {
    Files.writeString(folder.resolve("config.json"), "{\"a\":" + "[".repeat(100_000));
    assertThatThrownBy(() -> ModelConfig.read(folder)).isInstanceOf(UserError.class);
  }

  @Test
  void aMissingFileIsNamed() {
    assertThatThrownBy(() -> ModelConfig.read(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("config.json does not exist");
  }
}
