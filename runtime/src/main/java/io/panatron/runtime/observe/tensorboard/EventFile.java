package io.panatron.runtime.observe.tensorboard;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.time.InstantSource;
import java.util.Map;
import java.util.stream.Stream;

/**
 * One event file under {@code runs/}, which TensorBoard follows while it grows.
 *
 * <p>Whole records go to the file at once, so that a process killed at any instant leaves a file
 * that can be read, short of the values that were still waiting: at most {@code queueSize}, and
 * none older than a few seconds when a next one came.
 */
public final class EventFile implements AutoCloseable {
  private static final Duration LONGEST_WAIT = Duration.ofSeconds(5);
  private static final String PREFIX = "events.out.tfevents.";
  private static final Path HOST_NAME = Path.of("/proc/sys/kernel/hostname");

  private final InstantSource clock;
  private final int queueSize;
  private final FileChannel file;
  private final ByteArrayOutputStream waiting = new ByteArrayOutputStream();
  private int waitingValues;
  private Instant lastFlush;

  private EventFile(FileChannel file, int queueSize, InstantSource clock) {
    this.file = file;
    this.queueSize = queueSize;
    this.clock = clock;
    lastFlush = clock.instant();
  }

  /**
   * Creates a new file in a folder, which is made where missing.
   *
   * @param doneSteps steps of earlier runs that this one continues; what other files in the folder
   *     say about later steps, or about any if it continues none, no longer counts
   * @param queueSize values that may wait to be written
   */
  public static EventFile create(Path folder, long doneSteps, int queueSize, InstantSource clock)
      throws IOException {
    Files.createDirectories(folder);
    boolean used = isUsed(folder);
    EventFile events = new EventFile(open(folder, clock.instant()), queueSize, clock);
    events.add(EventMessages.fileVersion(events.wallTime()), 0);
    if (doneSteps > 0 || used) {
      long first = doneSteps == 0 ? 0 : doneSteps + 1;
      events.add(EventMessages.sessionStart(events.wallTime(), first), 0);
    }
    events.flush();
    return events;
  }

  private static boolean isUsed(Path folder) throws IOException {
    try (Stream<Path> files = Files.list(folder)) {
      return files.anyMatch(file -> String.valueOf(file.getFileName()).startsWith(PREFIX));
    }
  }

  /** Readers take the files of a folder in the order of their names, so time comes first. */
  private static FileChannel open(Path folder, Instant now) throws IOException {
    String name =
        PREFIX
            + "%010d.%s.%d."
                .formatted(now.getEpochSecond(), hostName(), ProcessHandle.current().pid());
    int number = 0;
    while (true) {
      try {
        return FileChannel.open(
            folder.resolve(name + number), StandardOpenOption.WRITE, StandardOpenOption.CREATE_NEW);
      } catch (FileAlreadyExistsException e) {
        // Another run of this process began within the same second.
        number++;
      }
    }
  }

  private static String hostName() {
    try {
      return Files.readString(HOST_NAME).strip();
    } catch (IOException e) {
      return "localhost";
    }
  }

  /** Adds the values of one step. */
  public void scalars(long step, Map<String, Double> values) throws IOException {
    add(EventMessages.scalars(wallTime(), step, values), values.size());
  }

  /** Adds a text, shown as Markdown. */
  public void text(long step, String tag, String text) throws IOException {
    add(EventMessages.text(wallTime(), step, tag, text), 1);
  }

  private void add(byte[] event, int values) throws IOException {
    waiting.writeBytes(RecordFrame.of(event).array());
    waitingValues += values;
    if (waitingValues >= queueSize
        || Duration.between(lastFlush, clock.instant()).compareTo(LONGEST_WAIT) >= 0) {
      flush();
    }
  }

  /**
   * Hands everything to the system.
   *
   * @throws IOException if there is no room; the file then ends with the last whole record
   */
  public void flush() throws IOException {
    long end = file.position();
    ByteBuffer bytes = ByteBuffer.wrap(waiting.toByteArray());
    try {
      while (bytes.hasRemaining()) {
        file.write(bytes);
      }
    } catch (IOException e) {
      file.truncate(end);
      throw e;
    }
    waiting.reset();
    waitingValues = 0;
    lastFlush = clock.instant();
  }

  private double wallTime() {
    return clock.millis() * 1e-3;
  }

  @Override
  public void close() throws IOException {
    try (file) {
      flush();
    }
  }
}
