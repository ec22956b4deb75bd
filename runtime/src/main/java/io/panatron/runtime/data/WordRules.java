package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * What a {@code tokenizer.json} says about cutting texts into words, where {@link WordEncoder} can
 * follow it.
 *
 * @param composed whether texts are normalized to NFC first
 * @param added tokens that are recognised in a text before it is cut
 */
record WordRules(WordPattern pattern, boolean composed, List<String> added) {
  WordRules {
    added = List.copyOf(added);
  }

  /**
   * The rules of a tokenizer, or null for one that must see whole texts: one with a pattern,
   * normalizer or added tokens of another kind than the common byte-level ones, or that drops
   * merges at random.
   */
  static @Nullable WordRules of(JsonNode tokenizer) {
    WordPattern pattern = WordPattern.of(tokenizer);
    JsonNode model = tokenizer.path("model");
    JsonNode normalizer = tokenizer.path("normalizer");
    boolean plain = normalizer.isMissingNode() || normalizer.isNull();
    boolean composed = normalizer.path("type").asText().equals("NFC");
    boolean random = model.path("dropout").asDouble(0) != 0;
    if (pattern == null
        || !model.path("type").asText().equals("BPE")
        || random
        || !(plain || composed)) {
      return null;
    }
    List<String> added = new ArrayList<>();
    for (JsonNode token : tokenizer.path("added_tokens")) {
      String text = token.path("content").asText();
      if (text.isEmpty()
          || token.path("lstrip").asBoolean(true)
          || token.path("rstrip").asBoolean(true)
          || token.path("single_word").asBoolean(true)
          || composed && token.path("normalized").asBoolean(true)) {
        return null;
      }
      added.add(text);
    }
    return new WordRules(pattern, composed, added);
  }

  /** The rules with further added tokens, which are recognised as they stand. */
  WordRules with(Collection<String> tokens) {
    List<String> all = new ArrayList<>(added);
    all.addAll(tokens);
    return new WordRules(pattern, composed, all);
  }
}
