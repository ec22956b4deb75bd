package io.panatron.runtime.checkpoint;

import static io.panatron.runtime.checkpoint.SmallCheckpoint.found;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.Channels;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class SafetensorsWriterTest {
  private static final long SEED = 99;

  @TempDir Path folder;

  private static byte[] written(List<TensorSource> tensors) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    SafetensorsWriter.write(tensors, Channels.newChannel(out));
    assertThat(out.size()).isEqualTo(SafetensorsWriter.fileBytes(tensors));
    return out.toByteArray();
  }

  private static TensorSource bytes(
      String name, SafetensorsDtype dtype, byte[] data, long... shape) {
    return TensorSource.ofSegment(name, dtype, shape, () -> MemorySegment.ofArray(data));
  }

  @Test
  void anyTensorsComeBackAsTheyWere() throws IOException {
    Random random = new Random(SEED);
    List<SafetensorsDtype> dtypes = List.of(SafetensorsDtype.values());
    for (int i = 0; i < 50; i++) {
      List<TensorSource> sources = new ArrayList<>();
      List<byte[]> contents = new ArrayList<>();
      for (int t = 0; t < random.nextInt(6); t++) {
        SafetensorsDtype dtype = dtypes.get(random.nextInt(dtypes.size()));
        long[] shape = random.longs(random.nextInt(4), 0, 5).toArray();
        byte[] data = new byte[(int) dtype.byteSize(shape)];
        random.nextBytes(data);
        contents.add(data);
        sources.add(bytes("läyer \"" + t + "\".weight\n", dtype, data, shape));
      }
      Path path = folder.resolve("file" + i);
      Files.write(path, written(sources));
      try (Arena arena = Arena.ofConfined()) {
        SafetensorsFile file = SafetensorsFile.open(path, arena);
        assertThat(file.tensors()).hasSize(sources.size());
        assertThat(file.metadata()).isEqualTo(Map.of("format", "pt"));
        for (int t = 0; t < sources.size(); t++) {
          SafetensorsTensor tensor = found(file.tensor(sources.get(t).name()));
          assertThat(tensor.dtype()).isEqualTo(sources.get(t).dtype());
          assertThat(tensor.shape()).isEqualTo(sources.get(t).shape());
          assertThat(tensor.data().toArray(ValueLayout.JAVA_BYTE)).isEqualTo(contents.get(t));
        }
      }
    }
  }

  @Test
  void everyTensorStartsAtAMultipleOfItsElementSize() throws IOException {
    List<TensorSource> sources =
        List.of(
            bytes("a", SafetensorsDtype.U8, new byte[3], 3),
            bytes("b", SafetensorsDtype.F32, new byte[4], 1),
            bytes("c", SafetensorsDtype.BF16, new byte[6], 3),
            bytes("d", SafetensorsDtype.F64, new byte[8], 1));
    byte[] file = written(sources);
    long headerBytes = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN).getLong();
    assertThat(headerBytes % 8).isZero();
    String header = new String(file, 8, (int) headerBytes, java.nio.charset.StandardCharsets.UTF_8);
    assertThat(header)
        .startsWith("{\"__metadata__\":{\"format\":\"pt\"}")
        .contains("\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[0,8]}")
        .contains("\"data_offsets\":[8,12]")
        .contains("\"data_offsets\":[12,18]")
        .contains("\"data_offsets\":[18,21]");
  }

  @Test
  void nativeMemoryLargerThanOneWriteArrivesWhole() throws IOException {
    long elements = (5L << 20) / 4 + 3;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment segment = arena.allocate(elements * 4);
      for (long i = 0; i < elements; i++) {
        segment.set(ValueLayout.JAVA_INT, i * 4, (int) i);
      }
      byte[] file =
          written(
              List.of(
                  TensorSource.ofSegment(
                      "x", SafetensorsDtype.I32, new long[] {elements}, () -> segment)));
      MemorySegment data =
          MemorySegment.ofArray(file).asSlice(file.length - elements * 4, elements * 4);
      assertThat(data.mismatch(segment)).isEqualTo(-1);
    }
  }

  @Test
  void aSourceThatDeliversTooMuchOrTooLittleIsNamed() {
    TensorSource much = bytes("x", SafetensorsDtype.U8, new byte[5], 4);
    TensorSource little = bytes("y", SafetensorsDtype.U8, new byte[3], 4);
    assertThatThrownBy(() -> written(List.of(much)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("tensor x delivered more than the 4 bytes");
    assertThatThrownBy(() -> written(List.of(little)))
        .isInstanceOf(IllegalStateException.class)
        .hasMessageContaining("tensor y delivered 3 bytes");
  }

  @Test
  void oneNameCannotStandTwice() {
    TensorSource x = bytes("x", SafetensorsDtype.U8, new byte[1], 1);
    assertThatThrownBy(() -> written(List.of(x, x)))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("named x");
  }
}
