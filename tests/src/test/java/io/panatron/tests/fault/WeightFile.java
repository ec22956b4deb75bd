package io.panatron.tests.fault;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.function.Consumer;

/** Damages a safetensors file: 8 bytes of header length, a JSON header, the data. */
final class WeightFile {
  private static final ObjectMapper JSON = new ObjectMapper();

  private WeightFile() {}

  /** Changes the header, leaving the data as it is. */
  static void editHeader(Path file, Consumer<ObjectNode> change) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int length = headerLength(bytes);
    ObjectNode header =
        (ObjectNode) JSON.readTree(new String(bytes, 8, length, StandardCharsets.UTF_8));
    change.accept(header);
    byte[] changed = JSON.writeValueAsBytes(header);
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(
        ByteBuffer.allocate(8).order(ByteOrder.LITTLE_ENDIAN).putLong(0, changed.length).array());
    out.write(changed);
    out.write(bytes, 8 + length, bytes.length - 8 - length);
    Files.write(file, out.toByteArray());
  }

  /** Sets one element of an F32 tensor. */
  static void setFloat(Path file, String tensor, int element, float value) throws IOException {
    byte[] bytes = Files.readAllBytes(file);
    int length = headerLength(bytes);
    int begin =
        JSON.readTree(Arrays.copyOfRange(bytes, 8, 8 + length))
            .at("/" + tensor + "/data_offsets/0")
            .asInt();
    ByteBuffer.wrap(bytes)
        .order(ByteOrder.LITTLE_ENDIAN)
        .putFloat(8 + length + begin + 4 * element, value);
    Files.write(file, bytes);
  }

  private static int headerLength(byte[] bytes) {
    return (int) ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
  }
}
