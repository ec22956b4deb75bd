package io.panatron.runtime.data;

import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.net.URISyntaxException;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.ZoneOffset;
import java.time.ZonedDateTime;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/** The test resources of this package. */
public final class Fixtures {
  public static final ObjectMapper JSON =
      new ObjectMapper().enable(DeserializationFeature.USE_LONG_FOR_INTS);
  public static final ZonedDateTime NOW = ZonedDateTime.of(2026, 3, 5, 14, 7, 9, 0, ZoneOffset.UTC);

  private Fixtures() {}

  public static Path path(String name) {
    try {
      URL url = Objects.requireNonNull(Fixtures.class.getResource("/data/" + name), name);
      return Path.of(url.toURI());
    } catch (URISyntaxException e) {
      throw new IllegalArgumentException(e);
    }
  }

  public static JsonNode json(String name) {
    try {
      return JSON.readTree(path(name).toFile());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** ChatML for a tokenizer without begin token. */
  static ChatTemplate chatMl() {
    ChatFormat format = Objects.requireNonNull(ChatFormats.named("chatml"));
    return FormatTemplate.of(format.resolved("", "<|im_end|>", NOW), TemplateOptions.DEFAULT, "");
  }

  /** A built-in template, or with null the model's own. */
  static ChatTemplate template(@Nullable String name, HfTokenizer tokenizer) {
    return ChatTemplates.choose(
        TemplateOptions.DEFAULT.withTemplate(name), tokenizer, "qwen3", NOW);
  }

  static ChatTemplate plain(HfTokenizer tokenizer) {
    return ChatTemplates.choose(
        TemplateOptions.DEFAULT.withChatTemplate(false), tokenizer, "qwen3", NOW);
  }

  static HfTokenizer tokenizer(String model) {
    return HfTokenizer.open(path(model));
  }

  static DataSettings settings(Path dataset) {
    return settings(List.of(dataset.toString()), 0, null, Truncation.DELETE, false);
  }

  static DataSettings settings(
      List<String> dataset,
      double split,
      @Nullable Integer maxLength,
      Truncation truncation,
      boolean shuffle) {
    return settings(dataset, split, maxLength, truncation, shuffle, Reading.DEFAULT);
  }

  static DataSettings settings(
      List<String> dataset,
      double split,
      @Nullable Integer maxLength,
      Truncation truncation,
      boolean shuffle,
      Reading reading) {
    return new DataSettings(
        false,
        dataset,
        List.of(),
        split,
        42,
        shuffle,
        false,
        null,
        maxLength,
        truncation,
        LossScale.DEFAULT,
        false,
        reading);
  }

  static DataSettings preTraining(
      Path dataset, @Nullable Integer maxLength, Truncation truncation) {
    return new DataSettings(
        true,
        List.of(dataset.toString()),
        List.of(),
        0,
        42,
        false,
        false,
        null,
        maxLength,
        truncation,
        LossScale.ALL,
        false,
        Reading.DEFAULT);
  }

  static Path write(Path file, String... lines) {
    try {
      return Files.writeString(file, String.join("\n", lines) + "\n");
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
