package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** A disk that fills up during a run; skipped where this process may not mount a small one. */
class DiskFullTest {
  @ParameterizedTest
  @ValueSource(booleans = {false, true})
  void aFullDiskEndsTheRunAndKeepsTheCheckpointBefore(boolean async, @TempDir Path folder)
      throws IOException, InterruptedException {
    Path disk = Files.createDirectory(folder.resolve("disk"));
    // A checkpoint of the fixture takes 1.9 MB.
    assumeTrue(
        command("mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", disk.toString()),
        "mounting a small disk needs root");
    try {
      TrainingCall call =
          TrainingCall.into(disk.resolve("run")).with("save_interval", 2).with("async_save", async);

      InProcess.Result result = call.run();

      assertThat(result.status()).as(result.err()).isEqualTo(2);
      assertThat(result.err().lines()).as(result.err()).hasSize(1);
      assertThat(result.err()).contains("disk is full", "checkpoint-4", "another --save");
      assertThat(call.save().resolve("checkpoint-2")).isDirectory();
      assertThat(Fixture.files(call.save())).noneMatch(file -> file.toString().endsWith(".tmp"));
      TrainingCall rest = call.with("load", call.save()).with("save", folder.resolve("rest"));
      assertThat(rest.run().status()).isZero();
      assertThat(RunFiles.log(rest.save()).keySet()).containsExactly(3, 4, 5, 6, 7, 8);
    } finally {
      assertThat(command("umount", disk.toString())).isTrue();
    }
  }

  private static boolean command(String... words) throws IOException, InterruptedException {
    try {
      Process process =
          new ProcessBuilder(words)
              .redirectErrorStream(true)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(30, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      // There is no such command on this system.
      return false;
    }
  }
}
