package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.generate.Answering;
import io.panatron.runtime.generate.PromptFile;
import io.panatron.runtime.parallel.RankContext;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.concurrent.Callable;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.ArgGroup;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code trainer generate}: answers prompts with a model, by greedy decoding. */
@Command(
    name = "generate",
    sortOptions = false,
    description = "Answer prompts with a model, by greedy decoding.")
final class GenerateCommand implements Callable<Integer> {
  private static final int DEFAULT_NEW_TOKENS = 128;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "FOLDER",
      description = "Hugging Face model folder, such as a checkpoint of trainer sft.")
  private @Nullable Path model;

  @Option(
      names = "--prompt",
      arity = "1..*",
      paramLabel = "TEXT",
      description = "What the user says; several texts are several conversations.")
  private List<String> prompts = new ArrayList<>();

  @Option(
      names = "--prompt_file",
      paramLabel = "FILE",
      description =
          "Prompts: a .jsonl file of messages, whose last answer is left out, or one per line.")
  private @Nullable Path promptFile;

  @Option(
      names = "--raw_ids",
      arity = "1..*",
      paramLabel = "IDS",
      description = "Token ids to continue, as in \"1,2,3\", without a template.")
  private List<String> rawIds = new ArrayList<>();

  @Option(
      names = "--max_new_tokens",
      paramLabel = "N",
      description = "Most tokens of an answer; default: 128, or less if the model takes no more.")
  private @Nullable Integer maxNewTokens;

  @Option(
      names = "--template",
      paramLabel = "NAME",
      description = "Chat template: chatml; default: the tokenizer's own.")
  private @Nullable String template;

  @Option(
      names = "--use_chat_template",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "true",
      paramLabel = "BOOL",
      description = "false continues the prompt as plain text; default: true.")
  private boolean useChatTemplate = true;

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description = "System prompt, or a .txt file that holds it.")
  private @Nullable String system;

  @Option(
      names = "--ignore_eos",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description = "Go on after an end token; default: false.")
  private boolean ignoreEos;

  @Option(
      names = "--micro_batch_size",
      defaultValue = "16",
      paramLabel = "N",
      description = "Prompts answered together; default: 16.")
  private int microBatchSize = 16;

  @Option(
      names = "--format",
      defaultValue = "text",
      paramLabel = "FORMAT",
      description = "text, or jsonl: rows of prompt_ids, new_ids and answer; default: text.")
  private String format = "text";

  @ArgGroup(validate = false)
  private DeviceOptions device = new DeviceOptions();

  @ArgGroup(validate = false)
  private SamplingOptions sampling = new SamplingOptions();

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  private @Nullable CommandSpec spec;

  /** A prompt as it is shown and as the model reads it. */
  private record Prompt(String shown, int[] ids) {}

  @Spec
  void setSpec(CommandSpec spec) {
    this.spec = spec;
    // A mistyped name after --prompt is a mistake, not one more prompt.
    spec.parser().unmatchedOptionsAllowedAsOptionParameters(false);
  }

  @Override
  public Integer call() {
    sampling.requireGreedy();
    AnswerPrinter printer = AnswerPrinter.of(format, out());
    if (microBatchSize < 1) {
      throw new UserError(
          "--micro_batch_size is %d; it must be at least 1.".formatted(microBatchSize));
    }
    try (Answering answering =
        Answering.open(Objects.requireNonNull(model), template, useChatTemplate)) {
      List<Prompt> asked = prompts(answering);
      List<int[]> ids = asked.stream().map(Prompt::ids).toList();
      int longest = ids.stream().mapToInt(prompt -> prompt.length).max().orElseThrow();
      int newTokens = newTokens(longest, answering.config().maxPositionEmbeddings());
      Set<Integer> stops = ignoreEos ? Set.of() : answering.stopTokens();
      try (RankContext rank = device.open()) {
        answering.load(rank, device.dtype(answering.config()), longest + newTokens);
        for (int first = 0; first < asked.size(); first += microBatchSize) {
          int end = Math.min(first + microBatchSize, asked.size());
          List<int[]> answers =
              answering.generate(rank, ids.subList(first, end), newTokens, stops, microBatchSize);
          for (int i = first; i < end; i++) {
            int[] answer = answers.get(i - first);
            printer.print(
                asked.get(i).shown(), ids.get(i), answer, answering.decode(answer), asked.size());
          }
        }
      }
    }
    return 0;
  }

  private List<Prompt> prompts(Answering answering) {
    List<Prompt> asked = new ArrayList<>();
    for (String prompt : prompts) {
      List<Message> conversation = new ArrayList<>();
      if (system != null) {
        conversation.add(new Message("system", DataSettings.systemPrompt(system)));
      }
      conversation.add(new Message("user", prompt));
      asked.add(new Prompt(prompt, answering.encode(conversation)));
    }
    if (promptFile != null) {
      String prompt = system == null ? null : DataSettings.systemPrompt(system);
      for (List<Message> conversation : PromptFile.read(promptFile, prompt)) {
        asked.add(new Prompt(conversation.getLast().content(), answering.encode(conversation)));
      }
    }
    for (String list : rawIds) {
      asked.add(new Prompt(list, tokenIds(list, answering.config().vocabSize())));
    }
    if (asked.isEmpty()) {
      throw new UserError(
          "trainer generate needs something to answer; give --prompt TEXT or --prompt_file FILE.");
    }
    return asked;
  }

  private static int[] tokenIds(String list, int vocabulary) {
    try {
      int[] ids =
          Arrays.stream(list.strip().split("[,\\s]+")).mapToInt(Integer::parseInt).toArray();
      if (Arrays.stream(ids).allMatch(id -> id >= 0 && id < vocabulary)) {
        return ids;
      }
    } catch (NumberFormatException e) {
      throw new UserError(
          "--raw_ids '%s' is not a list of token ids; write them as in \"1,2,3\".".formatted(list),
          e);
    }
    throw new UserError(
        "--raw_ids '%s' has an id that is not among the model's %d tokens."
            .formatted(list, vocabulary));
  }

  /** The answer's limit: what was asked for, or the default as far as the model's positions go. */
  private int newTokens(int longest, int positions) {
    int room = positions - longest;
    if (room < 1) {
      throw new UserError(
          "a prompt has %d tokens, but the model takes %d, answer included; shorten it."
              .formatted(longest, positions));
    }
    if (maxNewTokens == null) {
      return Math.min(DEFAULT_NEW_TOKENS, room);
    }
    if (maxNewTokens < 1 || maxNewTokens > room) {
      throw new UserError(
          ("--max_new_tokens is %d; after a prompt of %d tokens this model can take 1 to %d new"
                  + " ones.")
              .formatted(maxNewTokens, longest, room));
    }
    return maxNewTokens;
  }

  private PrintWriter out() {
    return Objects.requireNonNull(spec).commandLine().getOut();
  }
}
