package io.panatron.bindings;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.BasicFileAttributes;
import java.nio.file.attribute.FileTime;
import java.security.MessageDigest;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.Objects;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class LibraryUnpackerTest {
  private static final LibraryFile SMALL = NativeLibraries.ONEDNN.getFirst();

  @TempDir private Path temporary;

  @Test
  void writesTheLibraryWhole() throws Exception {
    Path folder = temporary.resolve("a/b");
    unpacker(folder).provide(SMALL);
    assertThat(digest(folder.resolve(SMALL.name()))).isEqualTo(SMALL.sha256());
    assertThat(names(folder)).containsExactly(SMALL.name());
  }

  @Test
  void leavesAComparedLibraryAlone() throws Exception {
    unpacker(temporary).provide(SMALL);
    Object before = identity();
    FileTime folderTime = Files.getLastModifiedTime(temporary);
    unpacker(temporary).provide(SMALL);
    assertThat(identity()).isEqualTo(before);
    assertThat(Files.getLastModifiedTime(temporary)).isEqualTo(folderTime);
  }

  @Test
  void takesARightLibraryThatSomebodyElsePutThere() throws Exception {
    unpacker(temporary).provide(SMALL);
    Path library = temporary.resolve(SMALL.name());
    Files.setLastModifiedTime(library, FileTime.from(Instant.now()));
    Object before = identity();
    unpacker(temporary).provide(SMALL);
    assertThat(identity()).isEqualTo(before);
    assertThat(Files.getLastModifiedTime(library)).isEqualTo(LibraryUnpacker.VERIFIED);
  }

  @Test
  void replacesALibraryWithAFlippedByte() throws Exception {
    unpacker(temporary).provide(SMALL);
    Path library = temporary.resolve(SMALL.name());
    byte[] content = Files.readAllBytes(library);
    content[content.length / 2] ^= 1;
    Files.write(library, content);
    assertThat(digest(library)).isNotEqualTo(SMALL.sha256());
    unpacker(temporary).provide(SMALL);
    assertThat(digest(library)).isEqualTo(SMALL.sha256());
  }

  @Test
  void replacesATornLibraryEvenWithTheStamp() throws Exception {
    unpacker(temporary).provide(SMALL);
    Path library = temporary.resolve(SMALL.name());
    Files.write(library, new byte[1000]);
    Files.setLastModifiedTime(library, LibraryUnpacker.VERIFIED);
    unpacker(temporary).provide(SMALL);
    assertThat(digest(library)).isEqualTo(SMALL.sha256());
  }

  @Test
  void removesWhatAKilledProcessLeft() throws Exception {
    Path old = Files.createFile(temporary.resolve(SMALL.name() + ".dead.tmp"));
    Files.setLastModifiedTime(old, FileTime.from(Instant.now().minus(Duration.ofDays(1))));
    Path young = Files.createFile(temporary.resolve(SMALL.name() + ".alive.tmp"));
    unpacker(temporary).provide(SMALL);
    assertThat(old).doesNotExist();
    assertThat(young).exists();
  }

  @Test
  void severalThreadsMayUnpackAtOnce() throws Exception {
    int threads = 8;
    CyclicBarrier start = new CyclicBarrier(threads);
    try (var pool = Executors.newFixedThreadPool(threads)) {
      List<Future<String>> found = new ArrayList<>();
      for (int i = 0; i < threads; i++) {
        found.add(
            pool.submit(() -> {
              start.await();
              unpacker(temporary).provide(SMALL);
              return digest(temporary.resolve(SMALL.name()));
            }));
      }
      for (Future<String> digest : found) {
        assertThat(digest.get()).isEqualTo(SMALL.sha256());
      }
    }
    assertThat(names(temporary)).containsExactly(SMALL.name());
  }

  @Test
  void aJarWithOtherBytesIsNamed() {
    LibraryFile other =
        new LibraryFile(SMALL.resource(), SMALL.name(), SMALL.bytes(), "0".repeat(64));
    assertThatThrownBy(() -> unpacker(temporary).provide(other))
        .isInstanceOf(NativeLibraryException.class)
        .hasMessageContaining(SMALL.resource())
        .hasMessageContaining("build it again");
    assertThat(temporary).isEmptyDirectory();
  }

  @Test
  void aJarWithoutTheLibraryIsNamed() {
    LibraryFile absent = new LibraryFile("no/such.so", "such.so", 1, SMALL.sha256());
    assertThatThrownBy(() -> unpacker(temporary).provide(absent))
        .isInstanceOf(NativeLibraryException.class)
        .hasMessageContaining("no/such.so is not on the class path");
    assertThat(temporary).isEmptyDirectory();
  }

  private static LibraryUnpacker unpacker(Path folder) {
    return new LibraryUnpacker(folder, LibraryUnpackerTest.class.getClassLoader());
  }

  private Object identity() throws IOException {
    Path library = temporary.resolve(SMALL.name());
    return Objects.requireNonNull(
        Files.readAttributes(library, BasicFileAttributes.class).fileKey());
  }

  private static List<String> names(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.map(p -> p.getFileName().toString()).toList();
    }
  }

  private static String digest(Path file) throws Exception {
    byte[] digest = MessageDigest.getInstance("SHA-256").digest(Files.readAllBytes(file));
    return HexFormat.of().formatHex(digest);
  }
}
