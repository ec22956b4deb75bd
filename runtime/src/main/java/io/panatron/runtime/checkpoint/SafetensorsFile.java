package io.panatron.runtime.checkpoint;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * A safetensors file, memory-mapped for reading.
 *
 * <p>The caller owns the arena: closing it unmaps the file, and no tensor may be touched after
 * that. A confined arena ties the tensors to one thread; several ranks need a shared one. No byte
 * of a tensor is read before somebody touches it.
 */
public final class SafetensorsFile {
  /** The reference reader's limit. */
  private static final long MAX_HEADER_BYTES = 100_000_000;

  private static final ValueLayout.OfLong LITTLE_ENDIAN_LONG =
      ValueLayout.JAVA_LONG_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private final Path path;
  private final Map<String, SafetensorsTensor> tensors;
  private final Map<String, String> metadata;

  private SafetensorsFile(
      Path path, Map<String, SafetensorsTensor> tensors, Map<String, String> metadata) {
    this.path = path;
    this.tensors = Collections.unmodifiableMap(tensors);
    this.metadata = Collections.unmodifiableMap(metadata);
  }

  /**
   * Maps a file into {@code arena} and checks its header.
   *
   * @throws UserError where the file cannot be read or its header does not fit its bytes
   */
  public static SafetensorsFile open(Path path, Arena arena) {
    MemorySegment bytes;
    try (FileChannel channel = FileChannel.open(path, StandardOpenOption.READ)) {
      long size = channel.size();
      if (size < Long.BYTES) {
        throw new UserError(
            "%s is not a safetensors file: it is only %d bytes long.".formatted(path, size));
      }
      bytes = channel.map(FileChannel.MapMode.READ_ONLY, 0, size, arena);
    } catch (IOException e) {
      throw new UserError("%s cannot be read: %s.".formatted(path, FileFailure.reason(e)), e);
    }
    long headerBytes = bytes.get(LITTLE_ENDIAN_LONG, 0);
    long afterLength = bytes.byteSize() - Long.BYTES;
    if (headerBytes < 2 || headerBytes > MAX_HEADER_BYTES || headerBytes > afterLength) {
      throw new UserError(
          "%s is not a safetensors file: its header would be %s bytes long, and %d bytes follow."
              .formatted(path, Long.toUnsignedString(headerBytes), afterLength));
    }
    byte[] json = bytes.asSlice(Long.BYTES, headerBytes).toArray(ValueLayout.JAVA_BYTE);
    MemorySegment data = bytes.asSlice(Long.BYTES + headerBytes);
    SafetensorsHeader header = SafetensorsHeader.parse(path, json, data.byteSize());
    Map<String, SafetensorsTensor> tensors = new LinkedHashMap<>();
    for (SafetensorsHeader.Entry entry : header.entries()) {
      MemorySegment slice = data.asSlice(entry.begin(), entry.end() - entry.begin());
      tensors.put(
          entry.name(), new SafetensorsTensor(entry.name(), entry.dtype(), entry.shape(), slice));
    }
    return new SafetensorsFile(path, tensors, header.metadata());
  }

  public Path path() {
    return path;
  }

  /** All tensors by name, in the order of their bytes. */
  public Map<String, SafetensorsTensor> tensors() {
    return tensors;
  }

  /** The tensor of this name, or null. */
  public @Nullable SafetensorsTensor tensor(String name) {
    return tensors.get(name);
  }

  /** The file's {@code __metadata__}; empty where it has none. */
  public Map<String, String> metadata() {
    return metadata;
  }
}
