package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Consumer;

/** Opens feeds with the intervals of everyday use. */
public final class TrackerFeeds {
  /** The least that wandb's own client keeps between two requests of a run. */
  private static final Duration INTERVAL = Duration.ofSeconds(15);

  private static final Duration PATIENCE = Duration.ofSeconds(30);
  private static final Path HOST_NAME = Path.of("/proc/sys/kernel/hostname");

  private TrackerFeeds() {}

  /**
   * A feed that connects with its first row.
   *
   * @param name the run's name, as people see it
   * @param argumentsFile args.json, which exists by then
   */
  public static TrackerFeed of(
      TrackerAccount account,
      String project,
      String name,
      Path argumentsFile,
      Consumer<String> say) {
    return new TrackerFeed(
        () ->
            account.tracker(
                new JsonHttp(account.server()),
                project,
                name,
                hostName(),
                arguments(argumentsFile)),
        INTERVAL,
        PATIENCE,
        say);
  }

  private static JsonNode arguments(Path file) throws IOException {
    return JsonHttp.JSON.readTree(file.toFile());
  }

  private static String hostName() throws IOException {
    return Files.readString(HOST_NAME).strip();
  }
}
