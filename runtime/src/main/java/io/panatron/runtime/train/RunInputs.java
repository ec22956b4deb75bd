package io.panatron.runtime.train;

import com.fasterxml.jackson.databind.node.ObjectNode;
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
import io.panatron.runtime.model.ModelFamily;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a run reads, opened and checked before anything is written: checkpoint, model configuration,
 * tokenizer, template, data, and the length of the run that follows from them.
 *
 * @param checkpoint what the run continues from, or null
 * @param modelFolder the checkpoint, or the folder of {@code --model}
 * @param model what the saved config.json will say
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

  static RunInputs open(TrainingConfig config, Backend backend, Consumer<String> say) {
    TrainingConfig.Resume resume = config.resume();
    Checkpoint checkpoint = resume == null ? null : ResumeState.open(resume, config, say);
    Path folder = checkpoint == null ? config.model() : checkpoint.folder();
    Path configFile = ModelConfig.file(folder);
    ModelFolderFiles read = ModelFolderFiles.read(folder);
    ObjectNode effective = read.config();
    ModelConfig model = ModelArguments.apply(config.arguments(), configFile, effective);
    DType dtype = dtype(config.arguments(), model, backend);
    ModelFolderFiles files = read.withConfig(effective);
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
      requirePositions(rows.requiredMaxLength(), model);
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
        };
    if (!backend.computesIn(dtype)) {
      throw new UserError(
          "--torch_dtype %s is not supported on %s; use --torch_dtype float32"
              .formatted(
                  dtype == DType.BF16 ? "bfloat16" : "float32", backend.device().describe()));
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

  /** Rotary positions go on for ever, learned ones end. */
  private static void requirePositions(int length, ModelConfig model) {
    if (model.family().positions() == ModelFamily.PositionKind.LEARNED
        && length > model.maxPositionEmbeddings()) {
      throw new UserError(
          "--max_length %d is more than the %d positions that the model has learned; lower it."
              .formatted(length, model.maxPositionEmbeddings()));
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

  @Override
  public void close() {
    data.close();
    tokenizer.close();
  }
}
