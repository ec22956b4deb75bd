package io.panatron.runtime.generate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ArgumentsFile;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.data.TemplateOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/**
 * How the conversations looked that a checkpoint was trained on, from its args.json; all null for a
 * folder without one.
 *
 * <p>Source: Megatron-SWIFT's {@code BaseArguments.load_args_from_ckpt}.
 *
 * @param system the system prompt, or the .txt file that holds it
 */
public record TrainedTemplate(
    @Nullable String template, @Nullable String agentTemplate, @Nullable String system) {

  /** Reads a model folder. */
  public static TrainedTemplate of(Path folder) {
    Path file = folder.resolve(ArgumentsFile.NAME);
    if (!Files.isRegularFile(file)) {
      return new TrainedTemplate(null, null, null);
    }
    try {
      JsonNode arguments = new ObjectMapper().readTree(file.toFile());
      return new TrainedTemplate(
          text(arguments, "template"),
          text(arguments, "agent_template"),
          text(arguments, "system"));
    } catch (IOException e) {
      throw new UserError(
          "%s cannot be read as JSON (%s); copy the checkpoint again, or remove the file."
              .formatted(file, e.getClass().getSimpleName()),
          e);
    }
  }

  private static @Nullable String text(JsonNode arguments, String name) {
    return arguments.path(name).isTextual() ? arguments.path(name).textValue() : null;
  }

  /** The options with what they leave open. */
  TemplateOptions complete(TemplateOptions given) {
    boolean open =
        given.useChatTemplate()
            && given.template() == null
            && given.backend() == TemplateOptions.Backend.SWIFT;
    if (!open || template == null) {
      return given;
    }
    TemplateOptions named = given.withTemplate(template);
    return given.agentTemplate() == null ? named.withAgentTemplate(agentTemplate) : named;
  }

  /** Arguments that say of templates what the model was trained with, where they leave it open. */
  public ParsedArguments completed(ParsedArguments arguments) {
    ParsedArguments named = arguments;
    if (template != null && arguments.value("template") == null) {
      named = named.with("template", template).with("agent_template", agentTemplate);
    }
    return system == null || arguments.value("system") != null
        ? named
        : named.with("system", system);
  }
}
