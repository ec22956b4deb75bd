package io.panatron.runtime.config;

import static io.panatron.runtime.config.Given.TABLE;
import static io.panatron.runtime.config.Given.inFile;
import static io.panatron.runtime.config.Given.parse;
import static io.panatron.runtime.config.Given.sft;
import static io.panatron.runtime.config.Given.typed;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.util.Collection;
import java.util.List;
import java.util.Objects;
import java.util.function.Predicate;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.MethodSource;

class ParameterSetTest {
  static Stream<Parameter> refusing() {
    return TABLE.forCommand("sft").parameters().stream()
        .filter(p ->
            p.state() == ParameterState.DEFAULT_ONLY
                || p.state() == ParameterState.UNHONOURED_DEFAULT
                || !p.allowed().isEmpty())
        .filter(p -> sample(p) != null);
  }

  static Collection<Parameter> all() {
    return TABLE.forCommand("sft").parameters();
  }

  static Stream<Parameter> accepted() {
    return all().stream().filter(p -> p.state() == ParameterState.ACCEPTED);
  }

  @ParameterizedTest
  @MethodSource("refusing")
  void whatHasNoEffectIsRefusedByName(Parameter parameter) {
    assertThatThrownBy(
            () -> sft(typed(parameter.name(), Objects.requireNonNull(sample(parameter)))))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith("--" + parameter.name() + " ")
        .hasMessageContaining("is not supported yet: " + parameter.reason());
  }

  @ParameterizedTest
  @MethodSource("all")
  void everyDefaultMayBeWrittenOut(Parameter parameter) {
    boolean required =
        List.of("model", "dataset", "train_iters", "config").contains(parameter.name());
    String text = required ? "8" : parameter.shownDefault();
    assertThatCode(() -> sft(typed(parameter.name(), text))).doesNotThrowAnyException();
  }

  @ParameterizedTest
  @MethodSource("accepted")
  void whatIsAcceptedTakesOtherValuesAndIsReported(Parameter parameter) {
    ParsedArguments arguments =
        sft(typed(parameter.name(), Objects.requireNonNull(sample(parameter))));
    assertThat(arguments.givenWithoutEffect()).containsExactly(parameter);
  }

  /** A legal value that is neither the default nor honoured, or null where there is none. */
  private static @Nullable String sample(Parameter p) {
    List<String> candidates =
        switch (p.type()) {
          case INT, FLOAT -> List.of("7", "0.5", "3", "0.25");
          case BOOL -> List.of("true", "false");
          case ENUM -> p.choices();
          case STRING -> List.of("something");
          case LIST -> p.allowed().isEmpty() ? List.of("something") : p.choices();
          case JSON -> List.of("{\"a\":1}");
        };
    Predicate<String> legal = text -> p.type() != ParameterType.INT || !text.contains(".");
    return candidates.stream()
        .filter(legal)
        .filter(t -> p.range() == null || p.range().contains(Double.parseDouble(t)))
        .filter(t -> !p.allowed().contains(t))
        .filter(t -> !ParameterValues.parseOne(p, t).equals(p.defaultValue()))
        .findFirst()
        .orElse(null);
  }

  @ParameterizedTest
  @CsvSource({
    "output_dir,save,x",
    "save_steps,save_interval,3",
    "eval_steps,eval_interval,3",
    "logging_steps,log_interval,3",
    "num_train_epochs,max_epochs,3",
    "dataloader_num_workers,num_workers,3",
    "mcore_model,load,x",
    "train_type,tuner_type,full",
    "manual_gc_steps,manual_gc_interval,3"
  })
  void newerAndOlderNamesMeanTheSameParameter(String alias, String name, String value) {
    assertThat(String.valueOf(sft(typed(alias, value)).value(name))).isEqualTo(value);
  }

  @Test
  void theCommandLineWinsOverTheFileWhateverNameEachUses() {
    ParsedArguments arguments =
        sft(typed("save_interval", "5"), inFile("save_steps", "9"), inFile("lr", "1e-4"));
    assertThat(arguments.integer("save_interval")).isEqualTo(5);
    assertThat(arguments.provenance("save_interval")).isEqualTo(Provenance.COMMAND_LINE);
    assertThat(arguments.provenance("lr")).isEqualTo(Provenance.CONFIG_FILE);
    assertThat(arguments.provenance("seed")).isEqualTo(Provenance.DEFAULT);
  }

  @Test
  void aParameterGivenTwiceInOnePlaceIsRefused() {
    assertThatThrownBy(() -> sft(inFile("save", "a"), inFile("output_dir", "b")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("same parameter");
    assertThatThrownBy(() -> sft(typed("save", "a"), typed("save", "b")))
        .hasMessageContaining("given twice");
  }

  @Test
  void anUnknownNameIsAnsweredWithTheNearestOnes() {
    assertThatThrownBy(() -> sft(typed("max_lenght", "3")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("max_lenght (did you mean max_length?)");
    assertThatThrownBy(() -> sft(typed("qqqqqqqqqqq", "3")))
        .hasMessageNotContaining("did you mean");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bf16=true torch_dtype=float32                  | contradicts --torch_dtype float32",
        "bf16=false torch_dtype=bfloat16                | contradicts --torch_dtype bfloat16",
        "bf16=true fp16=true                            | exclude each other",
        "fp16=true torch_dtype=float32                  | fp16 true contradicts --torch_dtype float32",
        "val_dataset=v.jsonl split_dataset_ratio=0.1    | keep one of them",
        "lr_warmup_iters=2 lr_warmup_fraction=0.1       | keep one of them",
        "lr_warmup_iters=8                              | shorten the warm-up",
        "lr=1e-4 min_lr=1e-3                            | above the peak rate",
        "min_lr=1e-3                                    | above the peak rate --lr 1.0E-5",
        "micro_batch_size=3                             | not a multiple of --micro_batch_size 3",
        "seq_length=512                                 | must equal --max_length",
        "seq_length=512 max_length=256                  | must equal --max_length, which is 256",
        "truncation_strategy=split                      | for pt only",
        "train_iters=None                               | Neither --train_iters nor --max_epochs",
        "model=None                                     | --model is required",
        "dataset=None                                   | --dataset is required",
        "device=cuda                                    | what works is auto, cpu, reference",
        "lora_rank=4                                    | --tuner_type lora",
        "dataloader_type=external                       | is for --streaming true",
        "save_total_limit=2 save_retain_interval=4      | keep one of them",
        "use_persistent_ckpt_worker=true                | no effect without --async_save true",
        "token_cache=cache                              | no effect without --load_from_cache_file true",
        "save_strategy=epoch streaming=true             | take --save_strategy steps",
        "save_safetensors=false                         | nothing else could be written",
        "recompute_modules=moe                          | --recompute_modules moe is not supported yet",
        "recompute_modules=moe_act                      | what works is core_attn, layernorm, mlp",
        "recompute_modules=mla_up_proj                  | multi-latent attention",
        "recompute_modules=layer_norm                   | did you mean layernorm?",
        "target_modules=None                            | --target_modules",
      })
  void contradictionsAreRefusedInOneSentence(String values, String reason) {
    GivenValue[] given =
        Stream.of(values.strip().split(" "))
            .map(value -> value.split("="))
            .map(pair -> typed(pair[0], pair[1]))
            .toArray(GivenValue[]::new);
    assertThatThrownBy(() -> sft(given))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(reason)
        .message()
        .doesNotContain("\n")
        .endsWith(".");
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "bf16=false fp16=false torch_dtype=float32",
        "bf16=true torch_dtype=bfloat16",
        "recompute_granularity=none",
        "recompute_modules=None",
        "seq_length=512 max_length=512",
        "moe_router_bias_update_rate=0",
        "lr_decay_style=constant lr=1e-4 min_lr=1e-5",
        "device=reference deterministic_mode=true",
        "async_save=true use_persistent_ckpt_worker=true",
        "save_strategy=epoch save_retain_interval=2",
      })
  void agreeingValuesPass(String values) {
    GivenValue[] given =
        Stream.of(values.split(" "))
            .map(v -> v.split("="))
            .map(p -> typed(p[0], p[1]))
            .toArray(GivenValue[]::new);
    assertThatCode(() -> sft(given)).doesNotThrowAnyException();
  }

  @Test
  void preTrainingHasItsOwnDefaults() {
    assertThat(parse("pt").flag("use_chat_template")).isFalse();
    assertThat(parse("pt").text("loss_scale")).isEqualTo("all");
    assertThat(sft().flag("use_chat_template")).isTrue();
    assertThat(sft().text("loss_scale")).isEqualTo("default");
  }

  @Test
  void aRunNamesTheDefaultsWithoutEffectUntilTheUserChoosesWhatWorks() {
    assertThat(sft().unhonouredDefaults())
        .extracting(Parameter::name)
        .contains("auto_detect_ckpt_format", "ckpt_format")
        .doesNotContain("recompute_granularity");
    assertThat(sft(typed("auto_detect_ckpt_format", "false")).unhonouredDefaults())
        .extracting(Parameter::name)
        .doesNotContain("auto_detect_ckpt_format");
  }

  @Test
  void aListMayHaveEveryItemThatWorks() {
    assertThat(sft(typed("recompute_modules", "mlp", "core_attn")).list("recompute_modules"))
        .containsExactly("mlp", "core_attn");
    assertThatThrownBy(() -> sft(typed("recompute_modules", "mlp", "moe")))
        .hasMessageContaining("--recompute_modules mlp moe is not supported yet");
  }
}
