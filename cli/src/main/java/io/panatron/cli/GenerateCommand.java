package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.generate.Answering;
import io.panatron.runtime.generate.ChatSession;
import io.panatron.runtime.generate.GenerationSettings;
import io.panatron.runtime.generate.Generator;
import io.panatron.runtime.parallel.RankContext;
import java.io.BufferedReader;
import java.io.Console;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
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

/** {@code trainer generate}: answers prompts with a model, or holds a conversation. */
@Command(
    name = "generate",
    sortOptions = false,
    description = "Answer prompts with a model, or chat with it.")
final class GenerateCommand implements Callable<Integer> {
  private static final int DEFAULT_NEW_TOKENS = 128;
  private static final int DEFAULT_CHAT_TOKENS = 512;

  @Option(
      names = "--model",
      required = true,
      paramLabel = "FOLDER",
      description = "Hugging Face model folder, such as a checkpoint of trainer sft.")
  private @Nullable Path model;

  @ArgGroup(validate = false)
  private HubOptions hub = new HubOptions();

  @ArgGroup(validate = false)
  private PromptOptions prompts = new PromptOptions();

  @Option(
      names = "--chat",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description =
          "Hold a conversation, a line a turn, from the terminal or a pipe; exit or Ctrl-D ends it.")
  private boolean chat;

  @Option(
      names = "--max_new_tokens",
      paramLabel = "N",
      description =
          "Most tokens of an answer; default: 128, in a chat 512, or less if the model takes no"
              + " more.")
  private @Nullable Integer maxNewTokens;

  @ArgGroup(validate = false)
  private TemplateChoice template = new TemplateChoice();

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
      description = "Answers made together; default: 16.")
  private int microBatchSize = 16;

  @ArgGroup(validate = false)
  private SamplingOptions sampling = new SamplingOptions();

  @ArgGroup(validate = false)
  private OutputOptions output = new OutputOptions();

  @ArgGroup(validate = false)
  private DeviceOptions device = new DeviceOptions();

  @Option(
      names = {"-h", "--help"},
      usageHelp = true,
      description = "Show this help and exit.")
  @SuppressWarnings("UnusedVariable") // picocli reads it
  private boolean help;

  private final InputStream in;
  private @Nullable CommandSpec spec;

  /**
   * Makes the command.
   *
   * @param in what the user says in a chat
   */
  GenerateCommand(InputStream in) {
    this.in = in;
  }

  @Spec
  void setSpec(CommandSpec spec) {
    this.spec = spec;
    // A mistyped name after --prompt is a mistake, not one more prompt.
    spec.parser().unmatchedOptionsAllowedAsOptionParameters(false);
  }

  @Override
  public Integer call() {
    // Mistakes in the options are told before anything is read.
    sampling.settings(maxNewTokens == null ? 1 : maxNewTokens, Set.of(), microBatchSize);
    sampling.stopWords();
    output.check();
    output.checkAgainst(prompts.file());
    if (chat && (!prompts.isEmpty() || output.isGiven() || sampling.samples() > 1)) {
      throw new UserError(
          "--chat shows one answer a turn; leave out --prompt, --prompt_file, --raw_ids, --format,"
              + " --result_path, --logprobs and --num_return_sequences.");
    }
    if (!chat && prompts.isEmpty()) {
      throw new UserError(
          "trainer generate needs something to answer; give --prompt TEXT, --prompt_file FILE or"
              + " --chat.");
    }
    // What is fetched is told beside the answers, which a program may read.
    Path folder =
        hub.folder(
            Objects.requireNonNull(model), Objects.requireNonNull(spec).commandLine().getErr());
    try (Answering answering = Answering.open(folder, template.options())) {
      Set<Integer> stops = ignoreEos ? Set.of() : answering.stopTokens();
      return chat ? talk(answering, stops) : answer(answering, stops);
    }
  }

  private int answer(Answering answering, Set<Integer> stops) {
    List<PromptOptions.Prompt> asked = prompts.read(answering);
    List<int[]> ids = asked.stream().map(PromptOptions.Prompt::ids).toList();
    int longest = ids.stream().mapToInt(prompt -> prompt.length).max().orElseThrow();
    int newTokens = newTokens(longest, answering.config().maxPositionEmbeddings());
    GenerationSettings settings = sampling.settings(newTokens, stops, microBatchSize);
    try (RankContext rank = device.open()) {
      answering.load(rank, device.dtype(answering.config()), longest + newTokens);
      Generator generator = answering.generator(rank);
      int total = asked.size() * sampling.samples();
      output.use(
          out(),
          total,
          destination ->
              answering.answer(
                  generator,
                  ids,
                  settings,
                  sampling.stopWords(),
                  new OrderedAnswers(asked, sampling.samples(), destination)));
      report(generator);
    }
    return 0;
  }

  private int talk(Answering answering, Set<Integer> stops) {
    int positions = answering.config().maxPositionEmbeddings();
    int newTokens = maxNewTokens == null ? DEFAULT_CHAT_TOKENS : maxNewTokens;
    GenerationSettings settings = sampling.settings(newTokens, stops, 1);
    try (RankContext rank = device.open()) {
      answering.load(rank, device.dtype(answering.config()), positions);
      Generator generator = answering.generator(rank);
      Console console = System.console();
      boolean terminal = console != null && console.isTerminal();
      BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
      try (ChatSession session =
          new ChatSession(
              answering, generator, settings, sampling.stopWords(), prompts.system(answering))) {
        new ChatTerminal(session, lines, out(), terminal).run();
      }
      report(generator);
    }
    return 0;
  }

  private void report(Generator generator) {
    PrintWriter err = Objects.requireNonNull(spec).commandLine().getErr();
    err.println(generator.throughput().summary());
    err.flush();
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
    if (maxNewTokens > room) {
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
