package io.panatron.runtime.train;

import io.panatron.kernels.DType;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.HfModelFolder;
import io.panatron.runtime.checkpoint.Retention;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.AddedTokens;
import io.panatron.runtime.data.BatchSource;
import io.panatron.runtime.data.ColumnNames;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.DatasetRegistry;
import io.panatron.runtime.data.LossScale;
import io.panatron.runtime.data.Mixing;
import io.panatron.runtime.data.Packing;
import io.panatron.runtime.data.Reading;
import io.panatron.runtime.data.Streaming;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.data.Tokens;
import io.panatron.runtime.data.Truncation;
import io.panatron.runtime.nn.DropoutRates;
import io.panatron.runtime.optim.DynamicLossScale;
import io.panatron.runtime.optim.OptimizerSettings;
import io.panatron.runtime.optim.StateDTypes;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.OptionalLong;
import org.jspecify.annotations.Nullable;

/**
 * Everything a run of {@code sft} or {@code pt} was asked to do, checked, in one value.
 *
 * @param arguments the parsed command line, kept for args.json
 * @param model folder that gives configuration and tokenizer, and weights unless a checkpoint does
 * @param resume where to continue from, or null
 * @param learningRate the schedule, still in iterations
 * @param optimizer how parameters are updated
 * @param dropout how much is dropped in training
 * @param recompute what backward computes a second time
 */
public record TrainingConfig(
    ParsedArguments arguments,
    Path model,
    @Nullable Resume resume,
    Data data,
    Batches batches,
    LearningRate learningRate,
    OptimizerSettings optimizer,
    DropoutRates dropout,
    Checkpoints checkpoints,
    RecomputeSettings recompute,
    long seed,
    boolean checkMemory,
    boolean printMemoryPlan) {

  /**
   * Continuing from a checkpoint.
   *
   * @param load a checkpoint or run folder
   * @param finetune take the weights only and start at iteration 0
   */
  public record Resume(
      Path load,
      boolean finetune,
      boolean loadOptimizer,
      boolean loadRandomState,
      boolean required) {}

  /** Rows, templates and how samples are drawn. */
  public record Data(
      DataSettings rows,
      TemplateOptions template,
      List<String> newSpecialTokens,
      boolean cyclic,
      boolean shuffle,
      boolean sharded,
      boolean paddingFree,
      int numWorkers,
      int prefetchFactor) {
    BatchSource.Settings batchSettings(int padId) {
      return new BatchSource.Settings(paddingFree, padId, numWorkers, prefetchFactor);
    }

    /** The row settings, limited to the model's positions where --max_length is unset. */
    DataSettings rowsWithin(int modelPositions) {
      return rows.maxLength() == null ? rows.withMaxLength(modelPositions) : rows;
    }
  }

  /** Batch sizes and the length of the run. */
  public record Batches(
      int microBatchSize,
      int globalBatchSize,
      boolean perTokenLoss,
      @Nullable Integer trainIterations,
      @Nullable Integer maxEpochs,
      int evalIterations,
      long evalInterval,
      int logInterval) {}

  /** The learning rate in the units of the command line. */
  public record LearningRate(
      String style,
      double maximum,
      double minimum,
      long warmupIterations,
      @Nullable Double warmupFraction,
      @Nullable Long decayIterations) {}

  /**
   * Where and when the run saves.
   *
   * @param perEpoch whether the interval and that of {@code retention} count epochs
   * @param asyncSave null where training waits for each checkpoint
   */
  public record Checkpoints(
      Path save,
      boolean addVersion,
      boolean perEpoch,
      long interval,
      Retention retention,
      boolean saveOptimizer,
      boolean saveRandomState,
      long maxShardBytes,
      @Nullable AsyncSave asyncSave) {}

  /** Writing checkpoints in the background. */
  public record AsyncSave(boolean persistentWorker) {}

  /**
   * Where the files are that a command line names otherwise than by their place here.
   *
   * @param model the folder of {@code --model}; null where that is its value
   * @param data the files of data sets, by their names
   */
  public record Fetched(@Nullable Path model, Map<String, List<Path>> data) {
    /** Everything is where the command line says. */
    public static final Fetched NONE = new Fetched(null, Map.of());

    public Fetched {
      data = Map.copyOf(data);
    }
  }

  /** Reads the arguments of a training command. */
  public static TrainingConfig of(ParsedArguments a) {
    return of(a, Fetched.NONE);
  }

  /** As {@link #of(ParsedArguments)}, with names that stand for files elsewhere. */
  public static TrainingConfig of(ParsedArguments a, Fetched fetched) {
    Path load = a.pathOrNull("load");
    Path model = fetched.model() == null ? a.pathOrNull("model") : fetched.model();
    return new TrainingConfig(
        a,
        model != null ? model : load != null ? load : a.path("model"),
        resume(a),
        data(a, fetched.data()),
        batches(a),
        new LearningRate(
            a.text("lr_decay_style"),
            a.number("lr"),
            a.number("min_lr"),
            a.wholeNumber("lr_warmup_iters"),
            a.numberOrNull("lr_warmup_fraction"),
            a.value("lr_decay_iters") == null ? null : a.wholeNumber("lr_decay_iters")),
        optimizer(a),
        new DropoutRates(a.number("hidden_dropout"), a.number("attention_dropout")),
        checkpoints(a),
        RecomputeSettings.of(a),
        a.wholeNumber("seed"),
        a.flag("check_memory"),
        a.flag("print_memory_plan"));
  }

  /**
   * {@code --load}; or {@code --model}, where that is a checkpoint and the user asks for its state
   * in so many words.
   */
  private static @Nullable Resume resume(ParsedArguments a) {
    Path load = a.pathOrNull("load");
    if (load == null && isAsked(a, "no_load_optim") && isAsked(a, "no_load_rng")) {
      load = a.pathOrNull("model");
      load = load != null && Checkpoint.isCheckpoint(load) ? load : null;
    }
    return load == null
        ? null
        : new Resume(
            load,
            a.flag("finetune"),
            !a.flag("no_load_optim"),
            !a.flag("no_load_rng"),
            a.flag("exit_on_missing_checkpoint"));
  }

  private static boolean isAsked(ParsedArguments a, String notToLoad) {
    return a.isGiven(notToLoad) && !a.flag(notToLoad);
  }

  private static Data data(ParsedArguments a, Map<String, List<Path>> fetched) {
    boolean preTraining = a.command().equals("pt");
    DatasetRegistry registry = DatasetRegistry.read(a.list("custom_dataset_info"));
    Map<String, ColumnNames> columnsOf = new HashMap<>();
    DataSettings rows =
        new DataSettings(
            preTraining,
            registry.resolve("--dataset", a.list("dataset"), columnsOf),
            registry.resolve("--val_dataset", a.list("val_dataset"), columnsOf),
            a.number("split_dataset_ratio"),
            a.wholeNumber("data_seed"),
            a.flag("dataset_shuffle"),
            a.flag("val_dataset_shuffle"),
            system(a.textOrNull("system")),
            a.integerOrNull("max_length"),
            Truncation.parse(a.text("truncation_strategy")),
            LossScale.parse(a.text("loss_scale")),
            a.flag("strict"),
            reading(a).with(columnsOf),
            fetched);
    return new Data(
        rows,
        template(a),
        AddedTokens.texts(a.list("new_special_tokens")),
        a.text("dataloader_type").equals("cyclic"),
        a.flag("train_dataloader_shuffle"),
        !a.flag("no_data_sharding"),
        a.flag("padding_free") || a.flag("packing"),
        a.integer("num_workers"),
        a.integer("dataloader_prefetch_factor"));
  }

  private static TemplateOptions template(ParsedArguments a) {
    return new TemplateOptions(
        a.textOrNull("template"),
        TemplateOptions.Backend.parse(a.text("template_backend")),
        a.flag("use_chat_template"),
        a.textOrNull("agent_template"),
        a.flagOrNull("enable_thinking"),
        a.isGiven("add_non_thinking_prefix") ? a.flag("add_non_thinking_prefix") : null,
        null,
        LossScale.parse(a.text("loss_scale")).base() == LossScale.Base.LAST_ROUND);
  }

  private static Reading reading(ParsedArguments a) {
    int sources = a.list("dataset").size() + a.list("cached_dataset").size();
    int threads = Math.max(a.integer("dataset_num_proc"), a.integer("num_workers"));
    Path cache = a.pathOrNull("token_cache");
    Path tokens = cache == null ? a.path("save").resolve("tokens") : cache;
    return new Reading(
        ColumnNames.parse(a.textOrNull("columns")),
        Mixing.parse(a.list("interleave_prob"), a.text("stopping_strategy"), sources),
        a.flag("packing")
            ? new Packing(a.integerOrNull("packing_length"), a.integer("packing_num_proc"))
            : null,
        a.flag("group_by_length"),
        new Tokens(
            a.flagOrNull("lazy_tokenize"),
            Math.clamp(threads, 1, Runtime.getRuntime().availableProcessors()),
            a.flag("load_from_cache_file") ? tokens : null,
            a.list("cached_dataset"),
            a.list("cached_val_dataset")),
        a.flag("streaming")
            ? new Streaming(a.integer("shuffle_buffer_size"), a.integerOrNull("max_epochs"))
            : null,
        a.flag("enable_channel_loss"));
  }

  private static Batches batches(ParsedArguments a) {
    return new Batches(
        a.integer("micro_batch_size"),
        a.integer("global_batch_size"),
        a.flag("calculate_per_token_loss"),
        a.integerOrNull("train_iters"),
        a.integerOrNull("max_epochs"),
        a.integer("eval_iters"),
        perEpoch(a) ? 1 : a.wholeNumber("eval_interval"),
        a.integer("log_interval"));
  }

  private static OptimizerSettings optimizer(ParsedArguments a) {
    return new OptimizerSettings(
        a.text("optimizer").equals("sgd")
            ? OptimizerSettings.Kind.SGD
            : OptimizerSettings.Kind.ADAM,
        a.number("weight_decay"),
        a.number("clip_grad"),
        a.number("adam_beta1"),
        a.number("adam_beta2"),
        a.number("adam_eps"),
        a.number("sgd_momentum"),
        new DynamicLossScale.Settings(
            a.number("initial_loss_scale"),
            a.number("min_loss_scale"),
            a.integer("loss_scale_window"),
            a.integer("hysteresis")),
        stateDTypes(a));
  }

  private static StateDTypes stateDTypes(ParsedArguments a) {
    return new StateDTypes(
        a.flag("use_precision_aware_optimizer"),
        stateDType(a.text("main_grads_dtype")),
        stateDType(a.text("main_params_dtype")),
        stateDType(a.text("exp_avg_dtype")),
        stateDType(a.text("exp_avg_sq_dtype")));
  }

  private static DType stateDType(String choice) {
    return switch (choice) {
      case "fp32" -> DType.F32;
      case "fp16" -> DType.F16;
      case "bf16" -> DType.BF16;
      case "fp8" -> DType.F8_E4M3;
      default -> throw new IllegalArgumentException("no dtype of optimizer state: " + choice);
    };
  }

  private static Checkpoints checkpoints(ParsedArguments a) {
    Integer limit = a.integerOrNull("save_total_limit");
    return new Checkpoints(
        a.path("save"),
        a.flag("add_version"),
        perEpoch(a),
        perEpoch(a) ? 1 : a.wholeNumber("save_interval"),
        new Retention(
            a.value("save_retain_interval") == null
                ? OptionalLong.empty()
                : OptionalLong.of(a.wholeNumber("save_retain_interval")),
            limit == null ? OptionalInt.empty() : OptionalInt.of(limit),
            null),
        !a.flag("no_save_optim"),
        !a.flag("no_save_rng"),
        HfModelFolder.parseShardSize(a.text("max_shard_size")),
        a.flag("async_save") ? new AsyncSave(a.flag("use_persistent_ckpt_worker")) : null);
  }

  private static boolean perEpoch(ParsedArguments a) {
    return a.text("save_strategy").equals("epoch");
  }

  private static @Nullable String system(@Nullable String given) {
    return given == null ? null : DataSettings.systemPrompt(given);
  }
}
