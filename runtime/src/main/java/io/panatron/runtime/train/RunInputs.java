package io.panatron.runtime.train;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import io.panatron.runtime.checkpoint.ModelFolderFiles;
import io.panatron.runtime.config.ComputePrecision;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.ChatTemplate;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.DataPipeline;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.IterationPlan;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.model.WeightTransfer;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a run reads, opened and checked before anything is written: checkpoint, model configuration,
 * tokenizer, template, data, and the length of the run that follows from them.
 *
 * @param checkpoint what the run continues from, or null
 * @param modelFolder the checkpoint, or the folder of {@code --model}
 * @param positions the longest sequence that can occur
 * @param plan iterations of training and evaluation
 */
record RunInputs(
    @Nullable Checkpoint checkpoint,
    Path modelFolder,
    ModelFolderFiles files,
    ModelConfig model,
    DType dtype,
    HfTokenizer tokenizer,
    ChatTemplate template,
    DataPipeline data,
    int positions,
    IterationPlan plan)
    implements AutoCloseable {
  private static final List<String> LOSS_SCALING =
      List.of("initial_loss_scale", "min_loss_scale", "loss_scale_window", "hysteresis");

  static RunInputs open(TrainingConfig config, Backend backend, Consumer<String> say) {
    TrainingConfig.Resume resume = config.resume();
    Checkpoint checkpoint = resume == null ? null : ResumeState.open(resume, config, say);
    Path folder = checkpoint == null ? config.model() : checkpoint.folder();
    ModelConfig model = ModelConfig.read(folder);
    config.arguments().requireAgreement(named(model));
    WindowArguments.requireAgreement(
        config.arguments().textOrNull("window_size"),
        config.arguments().textOrNull("window_attn_skip_freq"),
        model);
    DType dtype = dtype(config.arguments(), model, backend);
    config.optimizer().stateDTypes().requireFor(dtype);
    ModelFolderFiles files = ModelFolderFiles.read(folder);
    HfTokenizer tokenizer = HfTokenizer.open(folder);
    DataPipeline data = null;
    boolean opened = false;
    try {
      requireVocabulary(tokenizer, model);
      ChatTemplate template =
          ChatTemplates.choose(
              config.data().template(),
              config.data().useChatTemplate(),
              tokenizer,
              ZonedDateTime.now());
      DataSettings rows = config.data().rowsWithin(model.maxPositionEmbeddings());
      data = DataPipeline.open(rows, tokenizer, template);
      RunInputs inputs =
          new RunInputs(
              checkpoint,
              folder,
              files,
              model,
              dtype,
              tokenizer,
              template,
              data,
              rows.requiredMaxLength(),
              plan(config, data));
      opened = true;
      return inputs;
    } finally {
      if (!opened) {
        if (data != null) {
          data.close();
        }
        tokenizer.close();
      }
    }
  }

  private static DType dtype(ParsedArguments arguments, ModelConfig model, Backend backend) {
    String named = model.dtype() == null ? null : model.dtype().torchName();
    DType dtype =
        switch (ComputePrecision.resolve(arguments, named)) {
          case FLOAT32 -> DType.F32;
          case BFLOAT16 -> DType.BF16;
          case FLOAT16 -> DType.F16;
        };
    if (!backend.computesIn(dtype)) {
      throw new UserError(
          "--torch_dtype %s is not supported on %s; use --torch_dtype float32"
              .formatted(WeightTransfer.fileDtype(dtype).torchName(), backend.device().describe()));
    }
    if (dtype != DType.F16) {
      for (String name : LOSS_SCALING) {
        if (arguments.isGiven(name)) {
          throw new UserError(
              "--%s is about float16 training, and this run trains in %s; drop it, or take --torch_dtype float16."
                  .formatted(name, WeightTransfer.fileDtype(dtype).torchName()));
        }
      }
    }
    return dtype;
  }

  private static void requireVocabulary(HfTokenizer tokenizer, ModelConfig model) {
    if (tokenizer.vocabularySize() > model.vocabSize()) {
      throw new UserError(
          ("the tokenizer in %s knows %d tokens, but vocab_size in config.json is %d; use the model's"
                  + " own tokenizer, or a model with as many embeddings")
              .formatted(tokenizer.folder(), tokenizer.vocabularySize(), model.vocabSize()));
    }
  }

  private static IterationPlan plan(TrainingConfig config, DataPipeline data) {
    TrainingConfig.Batches batches = config.batches();
    IterationPlan.Request request =
        new IterationPlan.Request(
            data.training().size(),
            data.validation().size(),
            batches.microBatchSize(),
            1,
            batches.globalBatchSize(),
            batches.trainIterations(),
            batches.maxEpochs(),
            batches.evalIterations());
    return data.isStreamed() ? IterationPlan.ofStream(request) : IterationPlan.of(request);
  }

  /** What config.json says, under the names of the command line. */
  private static Map<String, Object> named(ModelConfig model) {
    Map<String, Object> values = new LinkedHashMap<>();
    values.put("num_layers", (long) model.numLayers());
    values.put("hidden_size", (long) model.hiddenSize());
    values.put("ffn_hidden_size", (long) model.intermediateSize());
    values.put("num_attention_heads", (long) model.numHeads());
    values.put("num_query_groups", (long) model.numKeyValueHeads());
    values.put("group_query_attention", model.numKeyValueHeads() > 1);
    values.put("kv_channels", (long) model.headDim());
    values.put("max_position_embeddings", (long) model.maxPositionEmbeddings());
    values.put("norm_epsilon", model.rmsNormEps());
    values.put("qk_layernorm", model.qkNorm());
    values.put("untie_embeddings_and_output_weights", !model.tieWordEmbeddings());
    values.put("add_qkv_bias", model.qkvBias());
    values.put("disable_bias_linear", !model.mlpBias());
    values.put("padded_vocab_size", (long) model.vocabSize());
    values.put("model_type", model.family().modelType());
    if (model.ropeTheta() == Math.rint(model.ropeTheta())) {
      values.put("rotary_base", (long) model.ropeTheta());
    }
    return values;
  }

  @Override
  public void close() {
    data.close();
    tokenizer.close();
  }
}
