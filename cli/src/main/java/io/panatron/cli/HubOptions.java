package io.panatron.cli;

import io.panatron.runtime.hub.HubNames;
import java.io.PrintWriter;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Option;

/** Where a model comes from that is no folder of this machine. */
final class HubOptions {
  @Option(
      names = "--use_hf",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description =
          "Fetch a model that is no folder here from the Hugging Face hub; default: false.")
  private boolean usesHub;

  @Option(
      names = "--model_revision",
      paramLabel = "NAME",
      description = "Branch, tag or commit of the hub; default: main.")
  private @Nullable String revision;

  @Option(
      names = "--hub_token",
      paramLabel = "TOKEN",
      description = "For private and gated models; default: HF_TOKEN, or the stored one.")
  private @Nullable String token;

  /** The folder of a model, fetched where need be; {@code out} tells what is. */
  Path folder(Path model, PrintWriter out) {
    return new HubNames(usesHub, revision, token, System.getenv(), out, HubChoice::isTerminal)
        .model("model", model.toString());
  }
}
