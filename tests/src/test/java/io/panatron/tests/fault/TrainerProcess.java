package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardWatchEventKinds;
import java.nio.file.WatchEvent;
import java.nio.file.WatchKey;
import java.nio.file.WatchService;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Predicate;

/** The trainer in a process of its own, which a test may end in any way. */
final class TrainerProcess implements AutoCloseable {
  /** Longer than any run here takes on a busy machine; a hang fails the test. */
  private static final long LIMIT_SECONDS = 240;

  private final Process process;
  private final Path output;
  private final WatchService watch;

  private TrainerProcess(Process process, Path output, WatchService watch) {
    this.process = process;
    this.output = output;
    this.watch = watch;
  }

  /** Starts {@code Main} with this call; what it prints goes to the file {@code output}. */
  static TrainerProcess start(TrainingCall call, Path output) {
    List<String> command = new ArrayList<>();
    command.add(Path.of(System.getProperty("java.home"), "bin", "java").toString());
    command.addAll(
        List.of(
            "-Xmx1g",
            "-XX:+UseSerialGC",
            "--add-modules=jdk.incubator.vector",
            "--enable-native-access=ALL-UNNAMED",
            "-cp",
            System.getProperty("java.class.path"),
            "io.panatron.cli.Main"));
    command.addAll(call.arguments());
    try {
      Files.createDirectories(call.save());
      WatchService watch = call.save().getFileSystem().newWatchService();
      call.save().register(watch, StandardWatchEventKinds.ENTRY_CREATE);
      Process process =
          new ProcessBuilder(command)
              .redirectErrorStream(true)
              .redirectOutput(output.toFile())
              .start();
      return new TrainerProcess(process, output, watch);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  /** Returns when such a file appears in the save folder, or the process ends before. */
  void awaitFile(Predicate<String> name) throws InterruptedException {
    long end = System.nanoTime() + TimeUnit.SECONDS.toNanos(LIMIT_SECONDS);
    while (process.isAlive()) {
      assertThat(System.nanoTime()).as("the run hangs:\n%s", output()).isLessThan(end);
      WatchKey key = watch.poll(100, TimeUnit.MILLISECONDS);
      if (key == null) {
        continue;
      }
      boolean found = false;
      for (WatchEvent<?> event : key.pollEvents()) {
        found |= name.test(String.valueOf(event.context()));
      }
      key.reset();
      if (found) {
        return;
      }
    }
  }

  /** Returns after this time, or when the process ends before. */
  void awaitMillis(double millis) throws InterruptedException {
    // Not for another thread to get somewhere: the instant of a kill is to be random.
    boolean ended = process.waitFor((long) (millis * 1e6), TimeUnit.NANOSECONDS);
    assertThat(ended).isEqualTo(!process.isAlive());
  }

  /** SIGKILL; returns when the process is gone, with whether it was still running. */
  boolean kill() throws InterruptedException {
    process.destroyForcibly();
    return awaitEnd() == 128 + 9;
  }

  /** SIGTERM. */
  void terminate() {
    process.destroy();
  }

  /** The exit status, once the process has ended by itself. */
  int awaitEnd() throws InterruptedException {
    assertThat(process.waitFor(LIMIT_SECONDS, TimeUnit.SECONDS))
        .as("the run ends within %d seconds", LIMIT_SECONDS)
        .isTrue();
    return process.exitValue();
  }

  String output() {
    try {
      return Files.readString(output);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public void close() {
    process.destroyForcibly();
    try {
      watch.close();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }
}
