package io.panatron.runtime.checkpoint;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.lang.foreign.MemorySegment;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;
import java.util.Set;

/**
 * Writes safetensors files as a stream: header first, then each tensor's bytes straight from its
 * source.
 *
 * <p>Tensors of wider types come first and the header is padded with blanks to a multiple of 8, so
 * every tensor starts at a multiple of its element size. {@code __metadata__} says {@code "format":
 * "pt"}, without which Hugging Face's loader refuses a file.
 */
public final class SafetensorsWriter {
  private static final int HEADER_ALIGNMENT = 8;

  private SafetensorsWriter() {}

  /** The bytes a file of these tensors has in all, header included. */
  public static long fileBytes(List<TensorSource> tensors) {
    long bytes = header(inFileOrder(tensors)).length;
    for (TensorSource tensor : tensors) {
      bytes += tensor.byteSize();
    }
    return bytes;
  }

  /**
   * Writes a whole file to {@code out}.
   *
   * @throws IOException where the channel refuses
   * @throws IllegalStateException where a source delivers fewer or more bytes than its shape says
   */
  public static void write(List<TensorSource> tensors, WritableByteChannel out) throws IOException {
    List<TensorSource> ordered = inFileOrder(tensors);
    TensorSource.write(MemorySegment.ofArray(header(ordered)), out);
    for (TensorSource tensor : ordered) {
      CountingChannel counting = new CountingChannel(out, tensor);
      tensor.writeTo(counting);
      if (counting.written != tensor.byteSize()) {
        throw new IllegalStateException(
            "tensor %s delivered %d bytes, but its shape %s needs %d"
                .formatted(
                    tensor.name(),
                    counting.written,
                    Arrays.toString(tensor.shape()),
                    tensor.byteSize()));
      }
    }
  }

  private static List<TensorSource> inFileOrder(List<TensorSource> tensors) {
    List<TensorSource> ordered = new ArrayList<>(tensors);
    ordered.sort(Comparator.comparingInt((TensorSource t) -> t.dtype().byteSize()).reversed());
    return ordered;
  }

  private static byte[] header(List<TensorSource> ordered) {
    ObjectNode root = BoundedJson.newObject();
    root.putObject("__metadata__").put("format", "pt");
    Set<String> names = new HashSet<>(Set.of("__metadata__"));
    long offset = 0;
    for (TensorSource tensor : ordered) {
      if (!names.add(tensor.name())) {
        throw new IllegalArgumentException("two tensors to save are named " + tensor.name());
      }
      ObjectNode entry = root.putObject(tensor.name());
      entry.put("dtype", tensor.dtype().name());
      ArrayNode shape = entry.putArray("shape");
      for (long dimension : tensor.shape()) {
        shape.add(dimension);
      }
      long end = Math.addExact(offset, tensor.byteSize());
      entry.putArray("data_offsets").add(offset).add(end);
      offset = end;
    }
    byte[] json = BoundedJson.toCompactBytes(root);
    int padded = Math.ceilDiv(json.length, HEADER_ALIGNMENT) * HEADER_ALIGNMENT;
    byte[] header = new byte[Long.BYTES + padded];
    Arrays.fill(header, (byte) ' ');
    ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).putLong(padded).put(json);
    return header;
  }

  /** Counts what a source writes and refuses the first byte too many. */
  private static final class CountingChannel implements WritableByteChannel {
    private final WritableByteChannel out;
    private final TensorSource tensor;
    private long written;

    CountingChannel(WritableByteChannel out, TensorSource tensor) {
      this.out = out;
      this.tensor = tensor;
    }

    @Override
    public int write(ByteBuffer source) throws IOException {
      if (source.remaining() > tensor.byteSize() - written) {
        throw new IllegalStateException(
            "tensor %s delivered more than the %d bytes of its shape"
                .formatted(tensor.name(), tensor.byteSize()));
      }
      int count = out.write(source);
      written += count;
      return count;
    }

    @Override
    public boolean isOpen() {
      return out.isOpen();
    }

    @Override
    public void close() {
      // The file belongs to the writer, not to the source of one tensor.
    }
  }
}
