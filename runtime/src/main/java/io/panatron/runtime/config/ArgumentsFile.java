package io.panatron.runtime.config;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;

/** Writes args.json: every parameter of a run with its effective value, in the table's order. */
public final class ArgumentsFile {
  /** Name of the file inside a run folder or a checkpoint. */
  public static final String NAME = "args.json";

  private ArgumentsFile() {}

  /**
   * Writes the file to the side, flushes it to the disk and renames it, so that a reader never sees
   * half of it.
   *
   * @param folder an existing folder
   */
  public static void write(ParsedArguments arguments, Path folder) throws IOException {
    Path side = Files.createTempFile(folder, "." + NAME, ".tmp");
    try {
      try (FileChannel channel = FileChannel.open(side, StandardOpenOption.WRITE)) {
        ByteBuffer bytes = ByteBuffer.wrap(json(arguments).getBytes(StandardCharsets.UTF_8));
        while (bytes.hasRemaining()) {
          channel.write(bytes);
        }
        channel.force(true);
      }
      Files.move(side, folder.resolve(NAME), StandardCopyOption.ATOMIC_MOVE);
    } finally {
      Files.deleteIfExists(side);
    }
  }

  /** The text of the file; a secret is written as null. */
  public static String json(ParsedArguments arguments) {
    JsonMapper mapper = new JsonMapper();
    ObjectNode root = mapper.createObjectNode();
    root.put("command", arguments.command());
    try {
      for (Parameter parameter : arguments.parameters()) {
        Object value = parameter.secret() ? null : arguments.value(parameter.name());
        boolean json = parameter.type() == ParameterType.JSON && value != null;
        JsonNode node = json ? mapper.readTree((String) value) : mapper.valueToTree(value);
        root.set(parameter.name(), node);
      }
      return mapper.writerWithDefaultPrettyPrinter().writeValueAsString(root) + "\n";
    } catch (JsonProcessingException e) {
      throw new IllegalStateException("arguments cannot be written as JSON", e);
    }
  }
}
