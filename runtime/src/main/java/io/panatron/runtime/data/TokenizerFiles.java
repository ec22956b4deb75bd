package io.panatron.runtime.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.JsonProblem;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * What the files of a tokenizer folder say besides the tokenization itself.
 *
 * @param tokenizerJson the text of {@code tokenizer.json}
 * @param ids token texts of the vocabulary that stand for special tokens, and their ids
 * @param specialTokens {@code bos_token}, {@code eos_token}, {@code pad_token}, ... and their texts
 * @param vocabularySize one more than the greatest token id
 * @param addBosToken whether {@code tokenizer_config.json} has plain text begin with {@code
 *     bos_token}; null where it leaves that to the post-processor
 * @param byteBound how many tokens a UTF-8 byte can become at most, and for other than ASCII text;
 *     null if there is no such bound
 * @param words how texts are cut into words; null if not by rules that are known here
 */
record TokenizerFiles(
    String tokenizerJson,
    Map<String, Integer> ids,
    Map<String, String> specialTokens,
    int vocabularySize,
    @Nullable Boolean addBosToken,
    @Nullable String chatTemplate,
    @Nullable ByteBound byteBound,
    @Nullable WordRules words) {

  /** Tokens per byte of ASCII text and of other text, where normalisation may lengthen it. */
  record ByteBound(int ascii, int other) {}

  private static final ObjectMapper JSON = new ObjectMapper();

  /** Reads a tokenizer folder; a missing or broken file is a {@link UserError}. */
  static TokenizerFiles read(Path folder) {
    Path file = folder.resolve("tokenizer.json");
    if (!Files.isRegularFile(file)) {
      throw new UserError(
          "there is no tokenizer.json in "
              + folder
              + ", and no other tokenizer format is supported; save the tokenizer with"
              + " save_pretrained of a fast tokenizer into that folder");
    }
    String text = readText(file);
    JsonNode tokenizer = parse(file, text);
    JsonNode model = tokenizer.path("model");
    JsonNode vocabulary = model.path("vocab");
    if (vocabulary.isMissingNode()) {
      throw new UserError(file + " has no model.vocab, so it is no tokenizer; copy it again");
    }
    Map<String, String> special = new HashMap<>();
    Map<String, Integer> ids = new HashMap<>();
    JsonNode config = optional(folder.resolve("tokenizer_config.json"));
    optional(folder.resolve("special_tokens_map.json"))
        .properties()
        .forEach(e -> putToken(special, e.getKey(), e.getValue()));
    config.properties().forEach(e -> putToken(special, e.getKey(), e.getValue()));
    int size = 0;
    if (vocabulary.isObject()) {
      for (Map.Entry<String, JsonNode> e : vocabulary.properties()) {
        size = Math.max(size, e.getValue().asInt(-1) + 1);
        if (special.containsValue(e.getKey())) {
          ids.put(e.getKey(), e.getValue().asInt());
        }
      }
    } else {
      size = vocabulary.size(); // Unigram: [[text, score], ...] by id
      for (int i = 0; i < size; i++) {
        if (special.containsValue(vocabulary.get(i).path(0).asText())) {
          ids.put(vocabulary.get(i).path(0).asText(), i);
        }
      }
    }
    for (JsonNode added : tokenizer.path("added_tokens")) {
      ids.put(added.path("content").asText(), added.path("id").asInt());
      size = Math.max(size, added.path("id").asInt(-1) + 1);
    }
    for (Map.Entry<String, JsonNode> e : config.path("added_tokens_decoder").properties()) {
      size = Math.max(size, decoderId(folder, e.getKey()) + 1);
      ids.putIfAbsent(e.getValue().path("content").asText(), decoderId(folder, e.getKey()));
    }
    return new TokenizerFiles(
        text,
        Map.copyOf(ids),
        Map.copyOf(special),
        size,
        config.path("add_bos_token").isBoolean()
            ? config.path("add_bos_token").booleanValue()
            : null,
        chatTemplate(folder, config),
        bound(tokenizer),
        WordRules.of(tokenizer));
  }

  /** The same tokenizer with added special tokens. */
  TokenizerFiles with(AddedTokens added) {
    Map<String, Integer> all = new HashMap<>(ids);
    all.putAll(added.ids());
    int size = vocabularySize;
    for (int id : added.ids().values()) {
      size = Math.max(size, id + 1);
    }
    return new TokenizerFiles(
        added.in(tokenizerJson),
        Map.copyOf(all),
        specialTokens,
        size,
        addBosToken,
        chatTemplate,
        byteBound,
        words == null ? null : words.with(added.ids().keySet()));
  }

  private static int decoderId(Path folder, String key) {
    try {
      return Integer.parseInt(key);
    } catch (NumberFormatException e) {
      throw new UserError(
          folder.resolve("tokenizer_config.json")
              + " has '"
              + key
              + "' in added_tokens_decoder where a token id belongs; copy the file again");
    }
  }

  /** Keeps {@code "eos_token": "x"} and {@code "eos_token": {"content": "x"}}. */
  private static void putToken(Map<String, String> special, String key, JsonNode value) {
    if (!key.endsWith("_token")) {
      return;
    }
    if (value.isTextual()) {
      special.put(key, value.asText());
    } else if (value.path("content").isTextual()) {
      special.put(key, value.path("content").asText());
    }
  }

  /** {@code chat_template.jinja}, else {@code chat_template}: a text, or named texts. */
  private static @Nullable String chatTemplate(Path folder, JsonNode config) {
    Path file = folder.resolve("chat_template.jinja");
    if (Files.isRegularFile(file)) {
      return readText(file);
    }
    Path json = folder.resolve("chat_template.json");
    JsonNode template =
        config.has("chat_template")
            ? config.get("chat_template")
            : optional(json).path("chat_template");
    if (template.isTextual()) {
      return template.asText();
    }
    for (JsonNode named : template) {
      if (named.path("name").asText().equals("default")) {
        return named.path("template").asText();
      }
    }
    return null;
  }

  /**
   * A byte-level BPE makes at most one token of each byte; NFC lengthens UTF-8 text at most three
   * times (Unicode Standard Annex 15, maximum expansion factors). Everything else has no bound
   * here.
   */
  private static @Nullable ByteBound bound(JsonNode tokenizer) {
    JsonNode model = tokenizer.path("model");
    JsonNode before = tokenizer.path("pre_tokenizer");
    JsonNode last = before;
    if (before.path("type").asText().equals("Sequence")) {
      JsonNode parts = before.path("pretokenizers");
      last = parts.path(parts.size() - 1);
      for (JsonNode part : parts) {
        String type = part.path("type").asText();
        if (!type.equals("Split") && !type.equals("Digits") && !type.equals("ByteLevel")) {
          return null;
        }
      }
    }
    JsonNode normalizer = tokenizer.path("normalizer");
    boolean plain = normalizer.isMissingNode() || normalizer.isNull();
    boolean nfc = normalizer.path("type").asText().equals("NFC");
    boolean bounded =
        model.path("type").asText("BPE").equals("BPE")
            && !model.path("byte_fallback").asBoolean(false)
            && last.path("type").asText().equals("ByteLevel")
            && !last.path("add_prefix_space").asBoolean(true)
            && (plain || nfc);
    return bounded ? new ByteBound(1, nfc ? 3 : 1) : null;
  }

  private static JsonNode optional(Path file) {
    return Files.isRegularFile(file) ? parse(file, readText(file)) : JSON.createObjectNode();
  }

  private static JsonNode parse(Path file, String text) {
    try {
      JsonNode node = JSON.readTree(text);
      if (!node.isObject()) {
        throw new UserError(file + " does not hold a JSON object; copy the file again");
      }
      return node;
    } catch (JsonProcessingException e) {
      throw new UserError(
          file
              + " is not valid JSON at line "
              + e.getLocation().getLineNr()
              + " ("
              + JsonProblem.of(e)
              + "); copy the file again",
          e);
    }
  }

  private static String readText(Path file) {
    try {
      return Files.readString(file, StandardCharsets.UTF_8);
    } catch (IOException e) {
      throw new UserError(
          file + " cannot be read as UTF-8 text (" + e + "); check the file and its rights", e);
    }
  }
}
