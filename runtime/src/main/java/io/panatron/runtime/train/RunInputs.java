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
import io.panatron.runtime.model.VocabularyGrowth;
import io.panatron.runtime.model.WeightTransfer;
import io.panatron.runtime.nn.RecomputePlan;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.function.Consumer;
import org.jspecify.annotations.Nullable;

/**
 * What a run reads, opened and checked before anything is written: checkpoint, model configuration,
 * tokenizer, template, data, and the length of the run that follows from them.
 *
 * @param checkpoint what the run continues from, or null
 * @param modelFolder the checkpoint, or the folder of {@code --model}
 * @param files what checkpoints take over from it, added tokens included
 * @param saved what the folder's weights are to be read as
 * @param model what the saved config.json will say: {@code saved} with room for added tokens
 * @param templateTime what a chat template takes for the present; that of the run's start, also
 *     where it is resumed on another day
 * @param positions the longest sequence that can occur
 * @param plan iterations of training and evaluation
 * @param task what is trained
 */
record RunInputs(
    @Nullable Checkpoint checkpoint,
    Path modelFolder,
    ModelFolderFiles files,
    ModelConfig saved,
    ModelConfig model,
    VocabularyGrowth vocabulary,
    DType dtype,
    RecomputePlan recompute,
    HfTokenizer tokenizer,
    ChatTemplate template,
    ZonedDateTime templateTime,
    DataPipeline data,
    int positions,
    IterationPlan plan,
    TaskPlan task)
    implements AutoCloseable {
  private static final List<String> LOSS_SCALING =
      List.of("initial_loss_scale", "min_loss_scale", "loss_scale_window", "hysteresis");

  /**
   * Opens everything.
   *
   * @param dataRanks how many ranks share a global batch
   */
  static RunInputs open(
      TrainingConfig config, Backend backend, int dataRanks, Consumer<String> say) {
    TrainingConfig.Resume resume = config.resume();
    Checkpoint checkpoint = resume == null ? null : ResumeState.open(resume, config, say);
    Path folder = checkpoint == null ? config.model() : checkpoint.folder();
    Path configFile = ModelConfig.file(folder);
    ModelFolderFiles read = ModelFolderFiles.read(folder);
    ObjectNode effective = read.config();
    ModelConfig found = ModelArguments.apply(config.arguments(), configFile, effective);
    RecomputePlan recompute = config.recompute().planFor(found.numLayers());
    HfTokenizer tokenizer = HfTokenizer.open(folder, config.data().newSpecialTokens());
    boolean opened = false;
    DataPipeline data = null;
    try {
      TaskPlan task = TaskPlan.of(config.arguments(), found, effective, folder, tokenizer);
      ModelConfig saved = found.withOutput(task.output());
      task.describeIn(effective, saved, tokenizer);
      VocabularyGrowth vocabulary = growth(saved, tokenizer);
      requireRoom(config.arguments(), saved, tokenizer, vocabulary);
      ModelConfig model = vocabulary.isNone() ? saved : saved.withVocabSize(vocabulary.rows());
      ModelArguments.requireAgreement(config.arguments(), model);
      DType dtype = dtype(config.arguments(), model, backend);
      config.optimizer().stateDTypes().requireFor(dtype);
      ModelFolderFiles files = read.withConfig(effective);
      if (!vocabulary.isNone()) {
        files = files.with(tokenizer.addedTokens().changed(files.others()), vocabulary.rows());
      }
      requireVocabulary(tokenizer, model);
      ZonedDateTime now = DataAgreement.templateTime(checkpoint, resume);
      ChatTemplate template =
          ChatTemplates.choose(
              config.data().template(), tokenizer, model.family().modelType(), now);
      DataSettings rows =
          config.data().rowsWithin(model.maxPositionEmbeddings()).withTask(task.rows());
      requirePositions(rows.requiredMaxLength(), model);
      data = DataPipeline.open(rows, tokenizer, template);
      RunInputs inputs =
          new RunInputs(
              checkpoint,
              folder,
              files,
              saved,
              model,
              vocabulary,
              dtype,
              recompute,
              tokenizer,
              template,
              now,
              data,
              rows.requiredMaxLength(),
              plan(config, data, dataRanks),
              task);
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

  private static VocabularyGrowth growth(ModelConfig model, HfTokenizer tokenizer) {
    return VocabularyGrowth.of(
        model, tokenizer.vocabularySize(), List.copyOf(tokenizer.addedTokens().ids().values()));
  }

  /** Rows for new tokens come on top of those that the model has, so both cannot be asked for. */
  private static void requireRoom(
      ParsedArguments arguments,
      ModelConfig saved,
      HfTokenizer tokenizer,
      VocabularyGrowth vocabulary) {
    if (vocabulary.rows() > vocabulary.rowsBefore() && arguments.isGiven("padded_vocab_size")) {
      throw new UserError(
          "--padded_vocab_size %d has no room for --new_special_tokens, with which the tokenizer knows %d tokens; leave it out, so that the vocabulary grows to %d, or give at least %d"
              .formatted(
                  saved.vocabSize(),
                  tokenizer.vocabularySize(),
                  vocabulary.rows(),
                  tokenizer.vocabularySize()));
    }
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

  private static IterationPlan plan(TrainingConfig config, DataPipeline data, int dataRanks) {
    TrainingConfig.Batches batches = config.batches();
    IterationPlan.Request request =
        new IterationPlan.Request(
            data.training().size(),
            data.validation().size(),
            batches.microBatchSize(),
            dataRanks,
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
