package io.panatron.cli;

import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.DatasetRegistry;
import io.panatron.runtime.hub.HubNames;
import io.panatron.runtime.train.TrainingConfig;
import java.io.Console;
import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/** Fetches what a command line names of the hub. */
final class HubChoice {
  private HubChoice() {}

  /** The names of a command's arguments. */
  static HubNames names(ParsedArguments arguments, PrintWriter out) {
    return new HubNames(arguments, System.getenv(), out, HubChoice::isTerminal);
  }

  static boolean isTerminal() {
    Console console = System.console();
    return console != null && console.isTerminal();
  }

  /** What a training run names otherwise than by its place here. */
  static TrainingConfig.Fetched fetched(ParsedArguments arguments, PrintWriter out) {
    HubNames names = names(arguments, out);
    Map<String, List<Path>> data = new LinkedHashMap<>();
    DatasetRegistry registry = DatasetRegistry.read(arguments.list("custom_dataset_info"));
    for (String option : List.of("dataset", "val_dataset")) {
      List<String> known = registry.resolve("--" + option, arguments.list(option), new HashMap<>());
      data.putAll(names.datasets(option, known));
    }
    return new TrainingConfig.Fetched(model(arguments, names), data);
  }

  /** The folder of --model; null where it is not given or a checkpoint takes its place. */
  static @Nullable Path model(ParsedArguments arguments, HubNames names) {
    String model = arguments.textOrNull("model");
    boolean loads = arguments.value("load") != null && arguments.flag("exit_on_missing_checkpoint");
    return model == null || loads ? null : names.model("model", model);
  }
}
