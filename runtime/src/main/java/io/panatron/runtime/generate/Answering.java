package io.panatron.runtime.generate;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.ChatTemplate;
import io.panatron.runtime.data.ChatTemplates;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.model.ModelConfig;
import io.panatron.runtime.parallel.RankContext;
import java.nio.file.Path;
import java.time.ZonedDateTime;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A model folder opened to answer conversations: tokenizer, chat template and weights.
 *
 * <p>{@link #encode} needs no weights, so prompts can be checked before {@link #load} reads them.
 */
public final class Answering implements AutoCloseable {
  private final Path folder;
  private final ModelConfig config;
  private final HfTokenizer tokenizer;
  private final ChatTemplate template;
  private @Nullable LoadedModel model;

  private Answering(Path folder, ModelConfig config, HfTokenizer tokenizer, ChatTemplate template) {
    this.folder = folder;
    this.config = config;
    this.tokenizer = tokenizer;
    this.template = template;
  }

  /**
   * Opens configuration, tokenizer and template.
   *
   * @param template as {@code --template}; null for the tokenizer's own
   * @param useChatTemplate false to continue plain text
   * @throws UserError for what the folder lacks or has wrong
   */
  public static Answering open(Path folder, @Nullable String template, boolean useChatTemplate) {
    ModelConfig config = ModelConfig.read(folder);
    HfTokenizer tokenizer = HfTokenizer.open(folder);
    try {
      return new Answering(
          folder,
          config,
          tokenizer,
          ChatTemplates.choose(template, useChatTemplate, tokenizer, ZonedDateTime.now()));
    } catch (RuntimeException | Error failure) {
      tokenizer.close();
      throw failure;
    }
  }

  public ModelConfig config() {
    return config;
  }

  /** The tokens of a conversation, up to where the answer starts. */
  public int[] encode(List<Message> conversation) {
    return tokenizer.encode(template.renderPrompt(conversation));
  }

  /** The text of an answer, without special tokens. */
  public String decode(int[] ids) {
    return tokenizer.decode(ids, true);
  }

  /** The tokens that end an answer. */
  public Set<Integer> stopTokens() {
    return StopTokens.of(folder, config, tokenizer);
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
    GreedyDecoder decoder = new GreedyDecoder(rank, config, loaded().network());
    List<int[]> answers = new ArrayList<>();
    for (int first = 0; first < prompts.size(); first += batchSize) {
      int end = Math.min(first + batchSize, prompts.size());
      answers.addAll(decoder.generate(prompts.subList(first, end), maxNewTokens, stopTokens));
    }
    return answers;
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
