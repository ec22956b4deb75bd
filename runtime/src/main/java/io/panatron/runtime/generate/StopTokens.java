package io.panatron.runtime.generate;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import io.panatron.runtime.data.HfTokenizer;
import io.panatron.runtime.model.ModelConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/** The tokens that end an answer. */
public final class StopTokens {
  private static final String FILE = "generation_config.json";

  private StopTokens() {}

  /**
   * The end tokens that {@code generation_config.json}, {@code config.json} and the tokenizer name,
   * taken together: models often name only one of them in each place.
   *
   * @throws UserError if {@code generation_config.json} is there but cannot be understood
   */
  public static Set<Integer> of(Path folder, ModelConfig config, HfTokenizer tokenizer) {
    Set<Integer> ids = new LinkedHashSet<>(config.eosTokenIds());
    tokenizer.eosId().ifPresent(ids::add);
    JsonNode named = read(folder.resolve(FILE));
    for (JsonNode id : named.isArray() ? named : List.of(named)) {
      if (id.isInt()) {
        ids.add(id.intValue());
      } else if (!id.isNull() && !id.isMissingNode()) {
        throw new UserError(
            "%s has an eos_token_id of %s; it must be an integer or a list of integers."
                .formatted(folder.resolve(FILE), id));
      }
    }
    return ids;
  }

  private static JsonNode read(Path file) {
    if (!Files.isRegularFile(file)) {
      return new ObjectMapper().missingNode();
    }
    try {
      return new ObjectMapper().readTree(file.toFile()).path("eos_token_id");
    } catch (IOException e) {
      throw new UserError(
          "%s cannot be read (%s); copy the file again."
              .formatted(file, e.getClass().getSimpleName()),
          e);
    }
  }
}
