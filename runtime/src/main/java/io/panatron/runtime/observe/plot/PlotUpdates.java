package io.panatron.runtime.observe.plot;

import io.panatron.runtime.observe.BestEffort;
import java.nio.file.Path;
import java.time.Duration;
import java.util.function.Consumer;
import java.util.function.LongSupplier;
import org.jspecify.annotations.Nullable;

/**
 * Draws a run's plots when it saves, in a thread beside the training, and once more at its end.
 *
 * <p>Drawing takes a good second of one processor, so runs that save often draw at most once a
 * minute.
 */
public final class PlotUpdates implements AutoCloseable {
  private static final long SHORTEST_INTERVAL = Duration.ofMinutes(1).toNanos();

  private final Path events;
  private final Path images;
  private final LongSupplier nanoTime;
  private final BestEffort effort;
  private long drawnAt;
  private @Nullable Thread drawing;

  /**
   * Nothing is drawn yet.
   *
   * @param nanoTime the time, as {@link System#nanoTime}
   */
  public PlotUpdates(Path events, Path images, LongSupplier nanoTime, Consumer<String> say) {
    this.events = events;
    this.images = images;
    this.nanoTime = nanoTime;
    this.effort = new BestEffort("Plots are no longer drawn in " + images, say);
    drawnAt = nanoTime.getAsLong();
  }

  /** Draws beside the caller, unless the plots are fresh or still being drawn. */
  public void refresh() {
    boolean busy = drawing != null && drawing.isAlive();
    if (busy || nanoTime.getAsLong() - drawnAt < SHORTEST_INTERVAL) {
      return;
    }
    drawnAt = nanoTime.getAsLong();
    drawing = Thread.ofPlatform().daemon().name("plots").start(this::draw);
  }

  /** Draws the last state, once what is under way is done. */
  @Override
  public void close() {
    Thread running = drawing;
    if (running != null) {
      effort.run(running::join);
    }
    draw();
  }

  /** By one thread at a time: the next one starts, or the caller draws, when the last has ended. */
  private void draw() {
    effort.run(() -> {
      int plots = RunPlots.draw(events, images);
      if (plots == 0) {
        throw new IllegalStateException("no scalar is in " + events);
      }
    });
  }
}
