package io.panatron.tests.fault;

import io.panatron.cli.InProcess;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * A command line of {@code sft} on the fixture, changed option by option; every change gives a new
 * value.
 */
record TrainingCall(String command, Map<String, String> options) {

  /** Eight iterations of four rows, every iteration logged, into {@code save} itself. */
  static TrainingCall into(Path save) {
    Map<String, String> options = new LinkedHashMap<>();
    options.put("model", Fixture.model().toString());
    options.put("dataset", Fixture.rows().toString());
    options.put("template", "chatml");
    options.put("save", save.toString());
    options.put("add_version", "false");
    options.put("train_iters", "8");
    options.put("save_interval", "8");
    options.put("micro_batch_size", "1");
    options.put("global_batch_size", "4");
    options.put("log_interval", "1");
    options.put("lr", "1e-3");
    options.put("min_lr", "1e-4");
    options.put("lr_warmup_iters", "2");
    options.put("device", "cpu");
    options.put("threads", "2");
    return new TrainingCall("sft", options);
  }

  TrainingCall command(String name) {
    return new TrainingCall(name, options);
  }

  TrainingCall with(String name, Object value) {
    Map<String, String> changed = new LinkedHashMap<>(options);
    changed.put(name, value.toString());
    return new TrainingCall(command, changed);
  }

  TrainingCall without(String name) {
    Map<String, String> changed = new LinkedHashMap<>(options);
    changed.remove(name);
    return new TrainingCall(command, changed);
  }

  Path save() {
    return Path.of(options.get("save"));
  }

  List<String> arguments() {
    List<String> arguments = new ArrayList<>(List.of(command));
    options.forEach((name, value) -> {
      arguments.add("--" + name);
      arguments.add(value);
    });
    return arguments;
  }

  InProcess.Result run() {
    return InProcess.run(arguments());
  }
}
