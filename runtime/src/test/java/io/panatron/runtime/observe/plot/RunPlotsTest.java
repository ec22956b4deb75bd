package io.panatron.runtime.observe.plot;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.observe.tensorboard.EventFile;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.InstantSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import javax.imageio.ImageIO;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class RunPlotsTest {
  @TempDir Path folder;
  private Path events;
  private Path images;

  @BeforeEach
  void folders() {
    events = folder.resolve("runs");
    images = folder.resolve("images");
  }

  private void write(int steps, double first, String... tags) throws IOException {
    try (EventFile file = EventFile.create(events, 0, 1000, InstantSource.system())) {
      for (int step = 1; step <= steps; step++) {
        for (String tag : tags) {
          file.scalars(step, Map.of(tag, step == 1 ? first : 1.0 / step));
        }
      }
    }
  }

  @Test
  void eachScalarBecomesAPngWithALineInIt() throws IOException {
    write(300, 1.0, "train/loss", "train/memory(GiB)", "../../etc/passwd");

    assertThat(RunPlots.draw(events, images)).isEqualTo(3);

    assertThat(names())
        .containsExactly(".._.._etc_passwd.png", "train_loss.png", "train_memory(GiB).png");
    BufferedImage image = ImageIO.read(images.resolve("train_loss.png").toFile());
    assertThat(image.getWidth()).isEqualTo(960);
    assertThat(colors(image)).contains(0x1f5fbf, 0x9ec5f4, 0xffffff);
  }

  @Test
  void aSinglePointAndValuesThatAreNoNumbersAreDrawn() throws IOException {
    try (EventFile file = EventFile.create(events, 0, 1000, InstantSource.system())) {
      file.scalars(1, Map.of("one", 2.0, "nothing", Double.POSITIVE_INFINITY));
      for (int step = 1; step <= 30; step++) {
        file.scalars(step, Map.of("gap", step == 1 ? Double.NaN : 1.0 / step));
      }
    }

    assertThat(RunPlots.draw(events, images)).isEqualTo(3);

    assertThat(names()).containsExactly("gap.png", "nothing.png", "one.png");
    assertThat(colors(ImageIO.read(images.resolve("one.png").toFile()))).contains(0x1f5fbf);
  }

  @Test
  void theSmoothedLineStartsAtTheFirstValueAndFollows() {
    List<Float> smoothed = RunPlots.smoothed(List.of(4f, 4f, 2f));

    assertThat(smoothed.get(0)).isEqualTo(4f);
    assertThat(smoothed.get(1)).isEqualTo(4f);
    assertThat(smoothed.get(2)).isBetween(2f, 4f);
  }

  @Test
  void savesDrawAtMostOnceAMinuteAndTheEndAlways() throws IOException {
    write(30, 1.0, "train/loss");
    long[] now = {0};
    List<String> said = new ArrayList<>();
    try (PlotUpdates plots = new PlotUpdates(events, images, () -> now[0], said::add)) {
      plots.refresh();
      assertThat(images).doesNotExist();
    }
    assertThat(names()).containsExactly("train_loss.png");

    Files.delete(images.resolve("train_loss.png"));
    Files.delete(images);
    PlotUpdates plots = new PlotUpdates(events, images, () -> now[0], said::add);
    now[0] = 61_000_000_000L;
    plots.refresh();
    plots.close();
    assertThat(names()).containsExactly("train_loss.png");
    assertThat(said).isEmpty();
  }

  @Test
  void aFolderThatCannotBeMadeIsSaidOnce() throws IOException {
    write(3, 1.0, "train/loss");
    Files.writeString(images, "in the way");
    List<String> said = new ArrayList<>();

    new PlotUpdates(events, images, System::nanoTime, said::add).close();

    assertThat(said).singleElement().asString().contains("Plots are no longer drawn in " + images);
  }

  private Set<String> names() throws IOException {
    try (Stream<Path> files = Files.list(images)) {
      return files
          .map(file -> file.getFileName().toString())
          .collect(Collectors.toCollection(TreeSet::new));
    }
  }

  private static Set<Integer> colors(BufferedImage image) {
    Set<Integer> colors = new TreeSet<>();
    for (int y = 0; y < image.getHeight(); y++) {
      for (int x = 0; x < image.getWidth(); x++) {
        colors.add(image.getRGB(x, y) & 0xffffff);
      }
    }
    return colors;
  }
}
