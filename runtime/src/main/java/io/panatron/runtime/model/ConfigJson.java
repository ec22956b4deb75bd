package io.panatron.runtime.model;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.BoundedJson;
import java.nio.file.Path;
import org.jspecify.annotations.Nullable;

/** A {@code config.json}, read key by key with the JSON type checked. */
final class ConfigJson {
  private static final long MAX_BYTES = 16L << 20;

  private final Path file;
  private final ObjectNode root;

  private ConfigJson(Path file, ObjectNode root) {
    this.file = file;
    this.root = root;
  }

  static ConfigJson read(Path file) {
    return new ConfigJson(file, BoundedJson.readObject(file, MAX_BYTES));
  }

  /**
   * A file that was read already.
   *
   * @param file for messages
   */
  static ConfigJson of(Path file, ObjectNode root) {
    return new ConfigJson(file, root);
  }

  /** The same file, reading from an object inside of it. */
  ConfigJson inside(ObjectNode object) {
    return new ConfigJson(file, object);
  }

  boolean has(String key) {
    return root.has(key);
  }

  /** Whether the key is there and says {@code null}. */
  boolean isNull(String key) {
    JsonNode value = root.get(key);
    return value != null && value.isNull();
  }

  /** The value, or null where it is absent or {@code null}. */
  @Nullable JsonNode get(String key) {
    JsonNode value = root.get(key);
    return value == null || value.isNull() ? null : value;
  }

  int integer(String key, int absent) {
    JsonNode value = root.get(key);
    if (value == null) {
      return absent;
    }
    if (!value.isInt()) {
      throw wrong(key, "must be an integer");
    }
    return value.intValue();
  }

  double real(String key, double absent) {
    JsonNode value = root.get(key);
    if (value == null) {
      return absent;
    }
    if (!value.isNumber()) {
      throw wrong(key, "must be a number");
    }
    return value.doubleValue();
  }

  boolean flag(String key, boolean absent) {
    JsonNode value = root.get(key);
    if (value == null) {
      return absent;
    }
    if (!value.isBoolean()) {
      throw wrong(key, "must be true or false");
    }
    return value.booleanValue();
  }

  /** The text, or null where it is absent or {@code null}. */
  @Nullable String text(String key) {
    JsonNode value = get(key);
    if (value == null) {
      return null;
    }
    if (!value.isTextual()) {
      throw wrong(key, "must be a text");
    }
    return value.textValue();
  }

  /** The object, or null where it is absent, {@code null} or empty. */
  @Nullable ObjectNode object(String key) {
    JsonNode value = get(key);
    if (value == null) {
      return null;
    }
    if (!(value instanceof ObjectNode object)) {
      throw wrong(key, "must be an object { ... }");
    }
    return object.isEmpty() ? null : object;
  }

  /**
   * The error for a value of the wrong kind: {@code <file>: <key> is <value>, but <must be ...>}.
   */
  UserError wrong(String key, String mustBe) {
    String value = String.valueOf(root.get(key));
    String shown = value.length() <= 80 ? value : value.substring(0, 80) + "...";
    return error("%s is %s, but %s".formatted(key, shown, mustBe));
  }

  UserError error(String problem, Throwable cause) {
    return new UserError("%s: %s.".formatted(file, problem), cause);
  }

  UserError error(String problem) {
    return new UserError("%s: %s.".formatted(file, problem));
  }
}
