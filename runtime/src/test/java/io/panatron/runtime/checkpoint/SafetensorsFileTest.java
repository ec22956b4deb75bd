package io.panatron.runtime.checkpoint;

import static io.panatron.runtime.checkpoint.SmallCheckpoint.found;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.fail;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class SafetensorsFileTest {
  private static final long SEED = 4711;

  @TempDir Path folder;
  private Path path;
  private final Arena arena = Arena.ofConfined();

  @BeforeEach
  void choosePath() {
    path = folder.resolve("model.safetensors");
  }

  @AfterEach
  void closeArena() {
    arena.close();
  }

  static byte[] reference() throws IOException {
    try (InputStream in =
        SafetensorsFileTest.class.getResourceAsStream("/checkpoint/reference.safetensors")) {
      return found(in).readAllBytes();
    }
  }

  private SafetensorsFile open(byte[] bytes) throws IOException {
    Files.write(path, bytes);
    return SafetensorsFile.open(path, arena);
  }

  private static byte[] file(String header, int dataBytes) {
    byte[] json = header.getBytes(StandardCharsets.UTF_8);
    ByteBuffer buffer = ByteBuffer.allocate(8 + json.length + dataBytes);
    return buffer.order(ByteOrder.LITTLE_ENDIAN).putLong(json.length).put(json).array();
  }

  @Test
  void aFileOfTheReferenceLibraryIsReadInFull() throws IOException {
    SafetensorsFile file = open(reference());
    assertThat(file.metadata()).containsOnlyKeys("format").containsEntry("format", "pt");
    assertThat(file.tensors().values().stream().map(SafetensorsTensor::toString))
        .containsExactlyInAnyOrder(
            "i64 I64[2]",
            "scalar.f64 F64[]",
            "a.f32 F32[2, 3]",
            "empty F32[0, 4]",
            "i32 I32[2]",
            "b.bf16 BF16[3]",
            "c.f16 F16[2, 1]",
            "u8 U8[3]",
            "flag BOOL[3]");
    MemorySegment i64 = found(file.tensor("i64")).data();
    assertThat(i64.get(ValueLayout.JAVA_LONG_UNALIGNED, 8)).isEqualTo(1L << 40);
    assertThat(found(file.tensor("scalar.f64")).data().get(ValueLayout.JAVA_DOUBLE_UNALIGNED, 0))
        .isEqualTo(3.25);
    assertThat(found(file.tensor("a.f32")).data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 20))
        .isEqualTo(5f);
    assertThat(found(file.tensor("b.bf16")).data().get(ValueLayout.JAVA_SHORT_UNALIGNED, 0))
        .isEqualTo((short) 0x3fc0);
    assertThat(found(file.tensor("empty")).data().byteSize()).isZero();
    assertThat(i64.isReadOnly()).isTrue();
    assertThat(file.tensor("nothing")).isNull();
  }

  @Test
  void theMappingEndsWithItsArena() throws IOException {
    Files.write(path, reference());
    MemorySegment data;
    try (Arena own = Arena.ofConfined()) {
      data = found(SafetensorsFile.open(path, own).tensor("u8")).data();
    }
    assertThatThrownBy(() -> data.get(ValueLayout.JAVA_BYTE, 0))
        .isInstanceOf(IllegalStateException.class);
  }

  @Test
  void aHeaderOfAnyLengthIsReadable() throws IOException {
    String header = "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    for (int blanks = 0; blanks < 8; blanks++) {
      SafetensorsTensor tensor = found(open(file(header + " ".repeat(blanks), 4)).tensor("x"));
      assertThat(tensor.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, 0)).isZero();
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      quoteCharacter = '^',
      value = {
        "[] | 0 | header is not a JSON object",
        "{'x':{ | 0 | header is not valid JSON",
        "{'x':7} | 0 | tensor x is not described by an object",
        "{'x':{'dtype':'F32','shape':[1]}} | 4 | tensor x needs dtype, shape and two data_offsets",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[0]}} | 4 | tensor x needs",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4,8]}} | 4 | has more than 2 entries",
        "{'x':{'dtype':'F31','shape':[1],'data_offsets':[0,4]}} | 4 | tensor x has dtype F31",
        "{'x':{'dtype':4,'shape':[1],'data_offsets':[0,4]}} | 4 | tensor x has no single dtype",
        "{'x':{'dtype':'F32','shape':[-1],'data_offsets':[0,4]}} | 4 | list of non-negative"
            + " integers",
        "{'x':{'dtype':'F32','shape':[1.0],'data_offsets':[0,4]}} | 4 | list of non-negative"
            + " integers",
        "{'x':{'dtype':'F32','shape':[99999999999999999999],'data_offsets':[0,4]}} | 4 | tensor x"
            + " shape",
        "{'x':{'dtype':'F32','shape':[4294967296,4294967296],'data_offsets':[0,0]}} | 0 |"
            + " impossible shape",
        "{'x':{'dtype':'F32','shape':[0,4294967296,4294967296],'data_offsets':[0,0]}} | 0 |"
            + " impossible shape",
        "{'x':{'dtype':'F64','shape':[2305843009213693952],'data_offsets':[0,0]}} | 0 | impossible"
            + " shape",
        "{'x':{'dtype':'F32','shape':[2],'data_offsets':[0,4]}} | 4 | needs 8 bytes, but its"
            + " data_offsets span 4",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[4,0]}} | 4 | bytes 4 to 0",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}} | 3 | holds only 3 bytes of data",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[0,4]}} | 5 | but 5 bytes of data follow",
        "{'x':{'dtype':'F32','shape':[1],'data_offsets':[4,8]}} | 8 | ends at 0 (hole)",
        "{'x':{'dtype':'U8','shape':[2],'data_offsets':[0,2]},'y':{'dtype':'U8','shape':[2],'data_offsets':[1,3]}}"
            + " | 3 | tensor y starts at byte 1, but the tensor before it ends at 2 (overlap)",
        "{'x':{'dtype':'U8','shape':[0],'data_offsets':[0,0]},'x':{'dtype':'U8','shape':[0],'data_offsets':[0,0]}}"
            + " | 0 | lists tensor x twice",
        "{'x':{'dtype':'U8','dtype':'I8','shape':[0],'data_offsets':[0,0]}} | 0 | no single dtype",
        "{'x':{'dtype':'U8','shape':[0],'data_offsets':[0,0],'code':'import os'}} | 0 | unknown key"
            + " code",
        "{'x':{'dtype':'U8','shape':[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1],'data_offsets':[0,1]}} | 1"
            + " | more than 16",
        "{'__metadata__':{'a':[]}} | 0 | __metadata__ must be one object of strings",
        "{'__metadata__':[]} | 0 | __metadata__ must be one object of strings",
        "{} {} | 0 | goes on after the closing brace",
        "{'x':{'dtype':'U8','shape':[[[[[[0]]]]]],'data_offsets':[0,0]}} | 0 | tensor x shape must"
            + " be",
        "{} | 3 | but 3 bytes of data follow",
      })
  void aWrongHeaderIsOneSentenceNamingFileAndTensor(String header, int dataBytes, String message) {
    assertThatThrownBy(() -> open(file(header.replace('\'', '"'), dataBytes)))
        .isInstanceOf(UserError.class)
        .hasMessageStartingWith(path.toString())
        .hasMessageContaining(message)
        .message()
        .doesNotContain("\n");
  }

  @Test
  void aLengthThatCannotBeIsRefusedBeforeAnythingIsRead() {
    for (long length : new long[] {0, 1, 3, 100_000_001, Long.MAX_VALUE, -1, Long.MIN_VALUE}) {
      byte[] bytes = ByteBuffer.allocate(10).order(ByteOrder.LITTLE_ENDIAN).putLong(length).array();
      assertThatThrownBy(() -> open(bytes))
          .isInstanceOf(UserError.class)
          .hasMessageContaining("is not a safetensors file");
    }
    assertThatThrownBy(() -> open(new byte[7]))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("only 7 bytes long");
    assertThatThrownBy(() -> SafetensorsFile.open(folder.resolve("none"), arena))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("does not exist");
  }

  @Test
  void everyTruncationIsRefused() throws IOException {
    byte[] whole = reference();
    for (int length = 0; length < whole.length; length++) {
      byte[] cut = java.util.Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> open(cut))
          .as("cut to %d bytes", length)
          .isInstanceOf(UserError.class);
    }
  }

  @Test
  void aChangedHeaderIsReadOrRefusedButNeverAnythingElse() throws IOException {
    byte[] whole = reference();
    int headerEnd = 8 + (int) ByteBuffer.wrap(whole).order(ByteOrder.LITTLE_ENDIAN).getLong();
    Random random = new Random(SEED);
    int refused = 0;
    for (int i = 0; i < 3000; i++) {
      byte[] changed = whole.clone();
      for (int change = 0; change <= random.nextInt(3); change++) {
        changed[random.nextInt(headerEnd)] = (byte) random.nextInt(256);
      }
      try {
        open(changed).tensors().values().forEach(SafetensorsFileTest::touchAllBytes);
      } catch (UserError e) {
        refused++;
        assertThat(e.getMessage()).doesNotContain("\n");
      } catch (RuntimeException e) {
        fail("seed %d, try %d".formatted(SEED, i), e);
      }
    }
    assertThat(refused).isGreaterThan(1000);
  }

  private static void touchAllBytes(SafetensorsTensor tensor) {
    assertThat(tensor.data().toArray(ValueLayout.JAVA_BYTE))
        .hasSize(Math.toIntExact(tensor.dtype().byteSize(tensor.shape())));
  }
}
