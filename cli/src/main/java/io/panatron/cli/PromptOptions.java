package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.DataSettings;
import io.panatron.runtime.data.Message;
import io.panatron.runtime.data.Row;
import io.panatron.runtime.generate.Answering;
import io.panatron.runtime.generate.PromptFile;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** What is to be answered. */
final class PromptOptions {
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
          "Prompts: a .jsonl file of messages (whose last answer is left out) or query, or one per"
              + " line.")
  private @Nullable Path promptFile;

  @Option(
      names = "--raw_ids",
      arity = "1..*",
      paramLabel = "IDS",
      description = "Token ids to continue, as in \"1,2,3\", without a template.")
  private List<String> rawIds = new ArrayList<>();

  @Option(
      names = "--system",
      paramLabel = "TEXT",
      description =
          "System prompt, or a .txt file that holds it; default: what a checkpoint was trained"
              + " with.")
  private @Nullable String system;

  /** A prompt as it is shown and as the model reads it. */
  record Prompt(String shown, int[] ids) {}

  /** The file of prompts; null for none. */
  @Nullable Path file() {
    return promptFile;
  }

  /** Whether anything is to be answered. */
  boolean isEmpty() {
    return prompts.isEmpty() && promptFile == null && rawIds.isEmpty();
  }

  /** The system prompt; null for none. */
  @Nullable String system(Answering answering) {
    String given = system == null ? answering.trainedSystem() : system;
    return given == null ? null : DataSettings.systemPrompt(given);
  }

  /**
   * Everything that is to be answered, in the order of the options above.
   *
   * @throws UserError if that is nothing, or cannot be read
   */
  List<Prompt> read(Answering answering) {
    List<Prompt> asked = new ArrayList<>();
    String instruction = system(answering);
    for (String prompt : prompts) {
      requireWhole(prompt);
      List<Message> conversation = new ArrayList<>();
      if (instruction != null) {
        conversation.add(new Message("system", instruction));
      }
      conversation.add(new Message("user", prompt));
      asked.add(new Prompt(prompt, answering.encode(conversation)));
    }
    if (promptFile != null) {
      for (Row row : PromptFile.read(promptFile, instruction)) {
        asked.add(
            new Prompt(
                row.messages().getLast().content(), answering.encode(row.messages(), row.tools())));
      }
    }
    for (String list : rawIds) {
      asked.add(new Prompt(list, tokenIds(list, answering.config().vocabSize())));
    }
    return asked;
  }

  /** The Java machine reads arguments in the locale's encoding; what that lacks is lost by now. */
  private static void requireWhole(String prompt) {
    if (prompt.indexOf('\uFFFD') >= 0) {
      throw new UserError(
          "--prompt '%s' has characters that the locale cannot carry; set LC_ALL=C.UTF-8, or use --prompt_file."
              .formatted(prompt));
    }
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
}
