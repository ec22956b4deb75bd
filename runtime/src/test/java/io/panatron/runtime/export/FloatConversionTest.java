package io.panatron.runtime.export;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.SafetensorsFile;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.SafetensorsWriter;
import io.panatron.runtime.checkpoint.TensorSource;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Numbers in another dtype are the nearest ones there, ties to even. */
class FloatConversionTest {
  @TempDir Path folder;
  private int files;

  private Path write(TensorSource tensor) throws IOException {
    Path file = folder.resolve("t" + files++ + ".safetensors");
    try (FileChannel out =
        FileChannel.open(file, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      SafetensorsWriter.write(List.of(tensor), out);
    }
    return file;
  }

  private static TensorSource floats(float... values) {
    return TensorSource.ofSegment(
        "x", SafetensorsDtype.F32, new long[] {values.length}, () -> MemorySegment.ofArray(values));
  }

  private short[] halves(SafetensorsDtype dtype, float... values) throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      SafetensorsTensor tensor = tensor(arena, write(floats(values)));
      Path converted = write(FloatConversion.source("x", tensor, dtype));
      return tensor(arena, converted).data().toArray(ValueLayout.JAVA_SHORT_UNALIGNED);
    }
  }

  private static SafetensorsTensor tensor(Arena arena, Path file) {
    return SafetensorsFile.open(file, arena).tensors().get("x");
  }

  /** Bits by PyTorch 2.13: {@code torch.tensor(x).to(dtype).view(torch.int16)}. */
  @Test
  void roundingIsPyTorchs() throws IOException {
    float[] values = {1.00390625f, 1.01171875f, 3.1415927f, -0.1f, 1e-40f, 65519f, -0f};
    assertThat(halves(SafetensorsDtype.BF16, values))
        .containsExactly(new int[] {16256, 16258, 16457, -16947, 1, 18304, -32768});
    assertThat(halves(SafetensorsDtype.F16, values))
        .containsExactly(new int[] {15364, 15372, 16968, -20890, 0, 31743, -32768});
    short nan = halves(SafetensorsDtype.BF16, Float.intBitsToFloat(0x7f800001))[0];
    assertThat(Float.intBitsToFloat(nan << Short.SIZE)).isNaN();
    assertThat(Float.float16ToFloat(halves(SafetensorsDtype.F16, Float.NaN)[0])).isNaN();
  }

  @Test
  void bfloat16AndBackIsTheSameBitByBit() throws IOException {
    float[] values = new float[600_000]; // more than one piece
    Random random = new Random(3);
    for (int i = 0; i < values.length; i++) {
      values[i] = Float.intBitsToFloat(random.nextInt(0x7f80) << 16);
    }
    try (Arena arena = Arena.ofConfined()) {
      Path narrow =
          write(
              FloatConversion.source(
                  "x", tensor(arena, write(floats(values))), SafetensorsDtype.BF16));
      Path wide = write(FloatConversion.source("x", tensor(arena, narrow), SafetensorsDtype.F32));
      float[] back = tensor(arena, wide).data().toArray(ValueLayout.JAVA_FLOAT_UNALIGNED);
      assertThat(Arrays.mismatch(back, values)).isEqualTo(-1);
    }
  }

  @Test
  void aNumberThatBecomesInfiniteIsRefused() {
    assertThatThrownBy(() -> halves(SafetensorsDtype.F16, 1, 70000))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("Tensor x", "70000", "float16", "bfloat16");
    assertThatThrownBy(() -> halves(SafetensorsDtype.BF16, Float.MAX_VALUE))
        .isInstanceOf(UserError.class);
  }
}
