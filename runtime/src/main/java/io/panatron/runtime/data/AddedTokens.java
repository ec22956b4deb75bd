package io.panatron.runtime.data;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * Special tokens that a run adds to a tokenizer, and what becomes of the tokenizer's files. A token
 * that the tokenizer has as such is left alone; a text that its vocabulary has keeps its id and
 * becomes special; any other gets the next id. Source: {@code add_special_tokens} of transformers.
 *
 * @param ids of the added tokens, in the order in which they were given
 */
public record AddedTokens(Map<String, Integer> ids) {
  private static final String TOKENIZER = "tokenizer.json";
  private static final String BYTE_ORDER_MARK = "\ufeff";
  private static final String LIST = "additional_special_tokens";

  /** Keeps numbers digit by digit. */
  private static final ObjectMapper JSON =
      JsonMapper.builder()
          .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
          .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
          .build();

  public AddedTokens {
    ids = Collections.unmodifiableMap(new LinkedHashMap<>(ids));
  }

  /** The texts that {@code --new_special_tokens} means: itself, or the lines of a .txt file. */
  public static List<String> texts(List<String> given) {
    Set<String> texts = new LinkedHashSet<>();
    for (String text : given) {
      if (text.endsWith(".txt")) {
        texts.addAll(lines(text));
      } else {
        texts.add(text);
      }
    }
    return List.copyOf(texts);
  }

  private static List<String> lines(String file) {
    try {
      String text = Files.readString(Path.of(file), StandardCharsets.UTF_8);
      String content = text.startsWith(BYTE_ORDER_MARK) ? text.substring(1) : text;
      List<String> lines =
          content.lines().map(String::strip).filter(line -> !line.isEmpty()).toList();
      if (lines.isEmpty()) {
        throw new UserError(
            "--new_special_tokens %s holds no token; write one a line, or leave it out"
                .formatted(file));
      }
      return lines;
    } catch (IOException | InvalidPathException e) {
      throw new UserError(
          "--new_special_tokens %s cannot be read as a UTF-8 text file (%s); check the path"
              .formatted(file, e),
          e);
    }
  }

  /** Which of the texts a tokenizer lacks as tokens, with the ids that they get. */
  static AddedTokens to(String tokenizerJson, List<String> texts) {
    ObjectNode tokenizer = parse(TOKENIZER, tokenizerJson);
    Map<String, Integer> known = new LinkedHashMap<>();
    int next = 0;
    JsonNode vocabulary = tokenizer.path("model").path("vocab");
    for (Map.Entry<String, JsonNode> entry : vocabulary.properties()) {
      known.put(entry.getKey(), entry.getValue().asInt());
      next = Math.max(next, entry.getValue().asInt() + 1);
    }
    for (int id = 0; vocabulary.isArray() && id < vocabulary.size(); id++) {
      known.put(vocabulary.get(id).path(0).asText(), id); // Unigram: [[text, score], ...] by id
      next = id + 1;
    }
    Set<String> added = new LinkedHashSet<>();
    for (JsonNode token : tokenizer.path("added_tokens")) {
      added.add(token.path("content").asText());
      next = Math.max(next, token.path("id").asInt() + 1);
    }
    Map<String, Integer> ids = new LinkedHashMap<>();
    for (String text : texts) {
      if (!added.contains(text)) {
        Integer id = known.get(text);
        ids.put(text, id == null ? next++ : id);
      }
    }
    return new AddedTokens(ids);
  }

  /** The text of {@code tokenizer.json} with the added tokens. */
  String in(String tokenizerJson) {
    if (ids.isEmpty()) {
      return tokenizerJson;
    }
    ObjectNode tokenizer = parse(TOKENIZER, tokenizerJson);
    ArrayNode tokens = tokenizer.withArrayProperty("added_tokens");
    ids.forEach((text, id) -> describe(tokens.addObject().put("id", id), text));
    return write(tokenizer);
  }

  private static void describe(ObjectNode token, String text) {
    token
        .put("content", text)
        .put("single_word", false)
        .put("lstrip", false)
        .put("rstrip", false)
        .put("normalized", false)
        .put("special", true);
  }

  /**
   * The contents of those files of a tokenizer that name its special tokens, with the added ones.
   *
   * @param files by name; others than the tokenizer's are passed over
   */
  public Map<String, byte[]> changed(Map<String, byte[]> files) {
    Map<String, byte[]> changed = new LinkedHashMap<>();
    if (ids.isEmpty()) {
      return changed;
    }
    files.forEach((name, bytes) -> {
      String text = new String(bytes, StandardCharsets.UTF_8);
      String fresh =
          switch (name) {
            case TOKENIZER -> in(text);
            case "tokenizer_config.json" -> inConfig(parse(name, text));
            case "special_tokens_map.json" -> listed(parse(name, text), LIST);
            case "added_tokens.json" -> inMap(parse(name, text));
            default -> null;
          };
      if (fresh != null) {
        changed.put(name, fresh.getBytes(StandardCharsets.UTF_8));
      }
    });
    return changed;
  }

  private String inConfig(ObjectNode config) {
    if (config.get("added_tokens_decoder") instanceof ObjectNode decoder) {
      ids.forEach((text, id) -> describe(decoder.putObject(String.valueOf(id)), text));
    }
    // Transformers 5 writes the list under another name than 4, and reads both.
    return listed(config, config.has("extra_special_tokens") ? "extra_special_tokens" : LIST);
  }

  private String listed(ObjectNode object, String key) {
    List<JsonNode> before = new ArrayList<>();
    if (object.get(key) instanceof ArrayNode list) {
      list.forEach(before::add);
    } else if (object.get(key) instanceof ObjectNode named && !named.isEmpty()) {
      // Named tokens of transformers 4 are no list to be added to.
      return listed(object, LIST);
    }
    ArrayNode list = object.putArray(key);
    before.forEach(list::add);
    ids.keySet().forEach(list::add);
    return write(object);
  }

  private String inMap(ObjectNode map) {
    ids.forEach(map::put);
    return write(map);
  }

  private static ObjectNode parse(String name, String text) {
    JsonNode node;
    try {
      node = JSON.readTree(text);
    } catch (JsonProcessingException e) {
      throw new UserError(name + " of the model is not valid JSON; copy the file again", e);
    }
    if (node instanceof ObjectNode object) {
      return object;
    }
    throw new UserError(name + " of the model does not hold a JSON object; copy the file again");
  }

  private static String write(ObjectNode object) {
    try {
      return JSON.writerWithDefaultPrettyPrinter().writeValueAsString(object) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("a JSON tree could not be written", e);
    }
  }
}
