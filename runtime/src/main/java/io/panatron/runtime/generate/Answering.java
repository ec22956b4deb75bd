package io.panatron.runtime.generate;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.ChatTemplate;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.TemplateException;
import io.panatron.runtime.data.TemplateOptions;
import io.panatron.runtime.data.agent.Tool;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model folder opened to answer conversations: tokenizer, chat template and weights. Code that
 * has its own tokens and weights uses {@link Generator} alone.
 *
 * <p>{@link #encode} needs no weights, so prompts can be checked before {@link #load} reads them.
 */
public final class Answering implements AutoCloseable {
  private final Path folder;
  private final ModelConfig config;
  private final HfTokenizer tokenizer;
  private final ChatTemplate template;
  private final boolean useChatTemplate;
  private final @Nullable String trainedSystem;
  private @Nullable LoadedModel model;

  private Answering(
      Path folder,
      ModelConfig config,
      HfTokenizer tokenizer,
      ChatTemplate template,
      boolean useChatTemplate,
      @Nullable String trainedSystem) {
    this.trainedSystem = trainedSystem;
    this.useChatTemplate = useChatTemplate;
    this.folder = folder;
    this.config = config;
    this.tokenizer = tokenizer;
    this.template = template;
  }

  /**
   * Opens configuration, tokenizer and template.
   *
   * @param options how conversations become text; what they leave open a checkpoint's args.json
   *     decides, where it names a template
   * @throws UserError for what the folder lacks or has wrong
   */
  public static Answering open(Path folder, TemplateOptions options) {
    ModelConfig config = ModelConfig.read(folder).languageModel(folder);
    TrainedTemplate trained = TrainedTemplate.of(folder);
    HfTokenizer tokenizer = HfTokenizer.open(folder);
    try {
      return new Answering(
          folder,
          config,
          tokenizer,
          ChatTemplates.choose(
              trained.complete(options),
              tokenizer,
              config.family().modelType(),
              ZonedDateTime.now()),
          options.useChatTemplate(),
          options.useChatTemplate() ? trained.system() : null);
    } catch (RuntimeException | Error failure) {
      tokenizer.close();
      throw failure;
    }
  }

  public ModelConfig config() {
    return config;
  }

  /** The longest sequence that the loaded weights take, prompt and answer together. */
  public int positions() {
    return loaded().network().positions();
  }

  /** The tokens of a conversation, up to where the answer starts. */
  public int[] encode(List<Message> conversation) {
    return encode(conversation, List.of());
  }

  /** The tokens of a conversation with tools, up to where the answer starts. */
  public int[] encode(List<Message> conversation, List<Tool> tools) {
    String text;
    try {
      text = template.renderPrompt(conversation, tools);
    } catch (TemplateException e) {
      throw new UserError(
          "the conversation that ends with '%s' %s."
              .formatted(conversation.getLast().content(), e.getMessage()),
          e);
    }
    // A chat template writes its begin token itself.
    return tokenizer.encode(useChatTemplate ? text : tokenizer.beginText() + text);
  }

  /** The text of an answer, without special tokens. */
  public String decode(int[] ids) {
    return tokenizer.decode(ids, true);
  }

  /**
   * The system prompt that the checkpoint was trained with, or the .txt file that holds it; null if
   * there was none.
   */
  public @Nullable String trainedSystem() {
    return trainedSystem;
  }

  /** What the template writes of every answer itself, such as {@code <think>}. */
  public String answerStart() {
    return template.answerStart();
  }

  /** The tokens that end an answer. */
  public Set<Integer> stopTokens() {
    Set<Integer> ids = StopTokens.of(folder, config, tokenizer);
    for (String text : template.endTexts()) {
      tokenizer.idOf(text).ifPresent(ids::add);
    }
    return ids;
  }

  /**
   * Reads the weights, or draws them from a seed if the folder has none.
   *
   * @param positions the longest sequence, prompt and answer together
   */
  public void loadOrInitialize(RankContext rank, DType dtype, int positions, long seed) {
    if (model != null) {
      throw new IllegalStateException("the weights of " + folder + " are loaded already");
    }
    model =
        LoadedModel.open(
            rank, folder, new LoadedModel.Options(dtype, false, positions, seed, false));
  }

  /**
   * Reads the weights.
   *
   * @throws UserError if the folder has none
   */
  public void load(RankContext rank, DType dtype, int positions) {
    loadOrInitialize(rank, dtype, positions, 0);
    if (loaded().initialized()) {
      throw new UserError(
          "%s holds no weights (model.safetensors), so it cannot answer; give a trained model's folder."
              .formatted(folder));
    }
  }

  /**
   * Greedy continuations.
   *
   * @param batchSize prompts decoded together; more are faster and need more memory
   * @return the new tokens of each prompt, the stop token included
   */
  public List<int[]> generate(
      RankContext rank,
      List<int[]> prompts,
      int maxNewTokens,
      Set<Integer> stopTokens,
      int batchSize) {
    GenerationSettings settings = GenerationSettings.greedy(maxNewTokens, stopTokens, batchSize);
    return generator(rank).generate(prompts, settings, TokenListener.NONE).stream()
        .map(Completion::tokens)
        .toList();
  }

  /**
   * Answers prompts with text.
   *
   * @param generator of this model, from {@link #generator}
   * @param stops strings that end an answer and are no part of it; none is empty
   * @param listener hears of every piece of text as soon as it is certain
   * @return all answers, by prompt and sample
   * @throws UserError if a prompt and its answer are longer than the model takes
   */
  public List<Answer> answer(
      Generator generator,
      List<int[]> prompts,
      GenerationSettings settings,
      List<String> stops,
      AnswerListener listener) {
    AnswerTexts texts = new AnswerTexts(this::decode, stops, listener);
    generator.generate(prompts, settings, texts);
    return texts.answers();
  }

  /** A generator over the loaded weights. */
  public Generator generator(RankContext rank) {
    return new Generator(rank, config, loaded().network());
  }

  private LoadedModel loaded() {
    if (model == null) {
      throw new IllegalStateException("the weights of " + folder + " are not loaded yet");
    }
    return model;
  }

  @Override
  public void close() {
    if (model != null) {
      model.close();
    }
    tokenizer.close();
  }
}
