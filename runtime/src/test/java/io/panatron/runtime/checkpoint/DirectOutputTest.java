package io.panatron.runtime.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** Files written past the page cache hold the bytes given, whatever their number. */
class DirectOutputTest {
  private static final int MIB = 1 << 20;
  private static final long SEED = 20_261_124;
  private Path folder = Path.of("target");

  /** In the build folder, which unlike the system's temporary folder lies on a disk. */
  @BeforeEach
  void makeFolder() throws IOException {
    folder = Files.createTempDirectory(Files.createDirectories(folder.toAbsolutePath()), "direct-");
  }

  @AfterEach
  void deleteFolder() throws IOException {
    CheckpointFiles.SYSTEM.deleteTree(folder);
  }

  @Test
  void aFileHoldsWhatWasWritten() throws IOException {
    Random random = new Random(SEED);
    int[] sizes = {0, 1, 4095, 4096, 4097, MIB - 1, MIB, MIB + 1, 3 * MIB + 4096, 2 * MIB + 777};
    for (int size : sizes) {
      byte[] bytes = new byte[size];
      random.nextBytes(bytes);
      Path file = folder.resolve("file-" + size);
      CheckpointFiles.Output out = DirectOutput.create(file);
      assumeTrue(out != null, "the file system of the build folder takes no O_DIRECT");
      try (out) {
        ByteBuffer source = ByteBuffer.wrap(bytes);
        while (source.hasRemaining()) {
          // In pieces of any length, as tensors come.
          ByteBuffer piece =
              source.slice(
                  source.position(), Math.min(source.remaining(), 1 + random.nextInt(MIB / 2)));
          int length = piece.remaining();
          while (piece.hasRemaining()) {
            out.write(piece);
          }
          source.position(source.position() + length);
        }
        out.force();
      }
      assertThat(out.isOpen()).isFalse();
      assertThat(Files.readAllBytes(file)).as("%d bytes, seed %d", size, SEED).isEqualTo(bytes);
    }
  }

  @Test
  void aFileThatExistsIsLeftAlone() throws IOException {
    Path file = Files.writeString(folder.resolve("mine"), "mine");
    assertThatThrownBy(() -> DirectOutput.create(file))
        .isInstanceOf(FileAlreadyExistsException.class);
    assertThat(file).hasContent("mine");
  }

  /** A pipe of the kernel's file system, which refuses the flag. */
  @Test
  void whereItCannotBeDoneNoFileIsLeft() throws IOException {
    Path refusing = Path.of("/proc/self/nothing-here");
    assertThat(DirectOutput.create(refusing)).isNull();
    assertThat(refusing).doesNotExist();
  }
}
