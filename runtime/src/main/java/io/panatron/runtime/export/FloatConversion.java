package io.panatron.runtime.export;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.TensorSource;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.nio.channels.WritableByteChannel;

/**
 * A tensor of a file in another floating dtype: to the nearest number, ties to even, as PyTorch's
 * {@code tensor.to(dtype)} rounds. What is in that dtype already goes through bit by bit.
 *
 * <p><b>Errors</b>: a finite number that is infinite in the narrower dtype is refused.
 */
final class FloatConversion {
  private static final int ELEMENTS = 1 << 18;
  private static final ValueLayout.OfFloat FLOAT =
      ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfDouble DOUBLE =
      ValueLayout.JAVA_DOUBLE_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);
  private static final ValueLayout.OfShort SHORT =
      ValueLayout.JAVA_SHORT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN);

  private FloatConversion() {}

  /** Whether numbers of a dtype can be converted. */
  static boolean converts(SafetensorsDtype dtype) {
    return switch (dtype) {
      case F64, F32, BF16, F16 -> true;
      default -> false;
    };
  }

  /** A tensor to be saved as {@code dtype} under {@code name}. */
  static TensorSource source(String name, SafetensorsTensor tensor, SafetensorsDtype dtype) {
    if (tensor.dtype() == dtype) {
      return TensorSource.ofSegment(name, dtype, tensor.shape(), tensor::data);
    }
    if (!converts(tensor.dtype()) || !converts(dtype)) {
      throw new UserError(
          "%s cannot be converted to %s; leave out --torch_dtype."
              .formatted(tensor, dtype.torchName()));
    }
    return new TensorSource(name, dtype, tensor.shape(), out -> convert(name, tensor, dtype, out));
  }

  private static void convert(
      String name, SafetensorsTensor tensor, SafetensorsDtype to, WritableByteChannel out)
      throws IOException {
    SafetensorsDtype from = tensor.dtype();
    long elements = tensor.data().byteSize() / from.byteSize();
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment piece = arena.allocate(ELEMENTS * (long) to.byteSize(), 8);
      for (long first = 0; first < elements; first += ELEMENTS) {
        int count = (int) Math.min(ELEMENTS, elements - first);
        for (int i = 0; i < count; i++) {
          double number = get(tensor.data(), from, first + i);
          if (!put(piece, to, i, number)) {
            throw new UserError(
                "Tensor %s has the number %s, which %s cannot hold; take --torch_dtype bfloat16 or float32."
                    .formatted(name, number, to.torchName()));
          }
        }
        TensorSource.write(piece.asSlice(0, (long) count * to.byteSize()), out);
      }
    }
  }

  private static double get(MemorySegment data, SafetensorsDtype dtype, long index) {
    return switch (dtype) {
      case F64 -> data.get(DOUBLE, index * Double.BYTES);
      case F32 -> data.get(FLOAT, index * Float.BYTES);
      case BF16 -> Float.intBitsToFloat(data.get(SHORT, index * Short.BYTES) << Short.SIZE);
      case F16 -> Float.float16ToFloat(data.get(SHORT, index * Short.BYTES));
      default -> throw new IllegalArgumentException(dtype + " is no floating dtype");
    };
  }

  /** Writes a number; false where it was finite and no longer is. */
  private static boolean put(
      MemorySegment data, SafetensorsDtype dtype, long index, double number) {
    float single = (float) number;
    double written;
    switch (dtype) {
      case F64 -> {
        data.set(DOUBLE, index * Double.BYTES, number);
        written = number;
      }
      case F32 -> {
        data.set(FLOAT, index * Float.BYTES, single);
        written = single;
      }
      case BF16 -> {
        short bits = bfloat16(single);
        data.set(SHORT, index * Short.BYTES, bits);
        written = Float.intBitsToFloat(bits << Short.SIZE);
      }
      case F16 -> {
        short bits = Float.floatToFloat16(single);
        data.set(SHORT, index * Short.BYTES, bits);
        written = Float.float16ToFloat(bits);
      }
      default -> throw new IllegalArgumentException(dtype + " is no floating dtype");
    }
    return Double.isFinite(written) || !Double.isFinite(number);
  }

  private static short bfloat16(float number) {
    int bits = Float.floatToRawIntBits(number);
    if (Float.isNaN(number)) {
      return (short) (bits >>> Short.SIZE | 0x40);
    }
    return (short) (bits + 0x7fff + (bits >>> Short.SIZE & 1) >>> Short.SIZE);
  }
}
