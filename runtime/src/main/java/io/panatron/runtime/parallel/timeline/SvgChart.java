package io.panatron.runtime.parallel.timeline;

import io.panatron.runtime.UserError;
import java.util.List;
import java.util.Locale;

/**
 * Draws a timeline as a picture of scalable vector graphics: one row per rank, time from left to
 * right, blue forward and green backward, darker from chunk to chunk. Pointing at a slot shows what
 * it is and how long it took.
 */
public final class SvgChart {
  /** More slots than this make a picture of tens of megabytes, which no viewer shows well. */
  private static final int MOST_SLOTS = 100_000;

  private static final int ROW = 26;
  private static final int TOP = 56;
  private static final int RIGHT = 16;
  private static final int CHARACTER = 7;
  private static final int SMALLEST_SLOT = 18;
  private static final int NARROWEST = 720;
  private static final int WIDEST = 12_000;
  private static final int TICKS = 8;

  /** From chunk to chunk; later chunks have the last shade. */
  private static final List<String> BLUES =
      List.of(
          "#a6c9f2", "#8bb9ee", "#70a9eb", "#5599e7", "#3b89e3", "#2079df", "#1c6bc4", "#185caa");

  private static final List<String> GREENS =
      List.of(
          "#b5e3c1", "#9fdbae", "#89d29b", "#72ca88", "#5cc176", "#46b963", "#3ea357", "#358d4b");

  private final Timeline timeline;
  private final StringBuilder svg = new StringBuilder();
  private final double scale;
  private final int left;
  private final int width;
  private final int height;

  private SvgChart(Timeline timeline) {
    this.timeline = timeline;
    int label = timeline.rows().stream().mapToInt(String::length).max().orElse(0);
    this.left = 20 + label * CHARACTER;
    double duration = timeline.duration() > 0 ? timeline.duration() : 1;
    double shortest =
        timeline.slots().stream()
            .mapToDouble(Slot::duration)
            .filter(d -> d > 0)
            .min()
            .orElse(duration);
    double drawn = Math.clamp(SMALLEST_SLOT * (duration / shortest), NARROWEST, WIDEST);
    this.scale = drawn / duration;
    this.width = (int) Math.ceil(left + drawn + RIGHT);
    this.height = TOP + timeline.rows().size() * ROW + 40;
  }

  /**
   * The picture as text.
   *
   * @throws UserError if there is too much to draw
   */
  public static String draw(Timeline timeline) {
    if (timeline.slots().size() > MOST_SLOTS) {
      throw new UserError(
          "%d passes are more than a picture shows (%d); choose fewer stages or micro-batches."
              .formatted(timeline.slots().size(), MOST_SLOTS));
    }
    return new SvgChart(timeline).draw();
  }

  private String draw() {
    add(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\">",
        width, height, width, height);
    String title = escaped(timeline.title() + ": " + timeline.bubbleText());
    add("<title>%s</title>", title);
    add("<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>");
    add("<text x=\"10\" y=\"20\" font-size=\"15\" fill=\"#111111\">%s</text>", title);
    legend();
    for (int row = 0; row < timeline.rows().size(); row++) {
      int y = TOP + row * ROW;
      add(
          "<rect x=\"%d\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"#eeeeee\"/>",
          left, y + 2, timeline.duration() * scale, ROW - 4);
      add(
          "<text x=\"%d\" y=\"%d\" text-anchor=\"end\" fill=\"#333333\">%s</text>",
          left - 8, y + 17, escaped(timeline.rows().get(row)));
    }
    timeline.slots().forEach(this::slot);
    axis();
    add("</svg>");
    return svg.toString();
  }

  private void legend() {
    int chunks = Math.min(timeline.chunks(), BLUES.size());
    int x = left;
    for (boolean backward : new boolean[] {false, true}) {
      for (int chunk = 0; chunk < chunks; chunk++) {
        add(
            "<rect x=\"%d\" y=\"30\" width=\"12\" height=\"12\" fill=\"%s\"/>",
            x, colour(backward, chunk));
        x += 13;
      }
      String name = backward ? "backward" : "forward";
      String of = chunks > 1 ? " of chunk 0 to %d".formatted(timeline.chunks() - 1) : "";
      add("<text x=\"%d\" y=\"41\" fill=\"#333333\">%s%s</text>", x + 3, name, of);
      x += 20 + CHARACTER * (name.length() + of.length());
    }
    add("<rect x=\"%d\" y=\"30\" width=\"12\" height=\"12\" fill=\"#eeeeee\"/>", x);
    add("<text x=\"%d\" y=\"41\" fill=\"#333333\">waiting</text>", x + 16);
  }

  private void slot(Slot slot) {
    double x = left + slot.start() * scale;
    double w = slot.duration() * scale;
    int y = TOP + slot.row() * ROW + 2;
    String name = Integer.toString(slot.microBatch());
    add(
        "<g><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\" stroke=\"#ffffff\" stroke-width=\"0.7\"/>",
        x, y, w, ROW - 4, colour(slot.backward(), slot.chunk()));
    if (w >= CHARACTER * name.length() + 3) {
      add(
          "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\" fill=\"%s\">%s</text>",
          x + w / 2, y + 15, ink(slot.chunk()), name);
    }
    add(
        "<title>%s of micro-batch %d, chunk %d, %s: %s to %s</title></g>",
        slot.backward() ? "backward" : "forward",
        slot.microBatch(),
        slot.chunk(),
        escaped(timeline.rows().get(slot.row())),
        time(slot.start()),
        time(slot.end()));
  }

  private void axis() {
    int y = TOP + timeline.rows().size() * ROW;
    double step = niceStep(timeline.duration() / TICKS);
    for (int tick = 0; step > 0 && tick * step <= timeline.duration() * (1 + 1e-9); tick++) {
      double x = left + tick * step * scale;
      add(
          "<line x1=\"%.2f\" y1=\"%d\" x2=\"%.2f\" y2=\"%d\" stroke=\"#999999\"/>",
          x, y + 2, x, y + 8);
      add(
          "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\" fill=\"#555555\">%s</text>",
          x, y + 22, time(tick * step));
    }
  }

  /** The next larger of 1, 2 or 5 times a power of ten. */
  private static double niceStep(double least) {
    if (!(least > 0)) {
      return 0;
    }
    double power = Math.pow(10, Math.floor(Math.log10(least)));
    for (int factor : new int[] {1, 2, 5}) {
      if (factor * power >= least) {
        return factor * power;
      }
    }
    return 10 * power;
  }

  private String time(double value) {
    String number = String.format(Locale.ROOT, "%.3f", value).replaceFirst("\\.?0+$", "");
    return timeline.unit().isEmpty() ? number : number + " " + escaped(timeline.unit());
  }

  /** Shades as far apart as the number of chunks allows. */
  private int shade(int chunk) {
    int chunks = Math.min(timeline.chunks(), BLUES.size());
    return Math.min(chunk * (BLUES.size() / chunks), BLUES.size() - 1);
  }

  private String colour(boolean backward, int chunk) {
    return (backward ? GREENS : BLUES).get(shade(chunk));
  }

  private String ink(int chunk) {
    return shade(chunk) <= BLUES.size() / 2 ? "#10202c" : "#ffffff";
  }

  @SuppressWarnings("AnnotateFormatMethod") // the annotation would be a dependency of its own
  private void add(String format, Object... values) {
    svg.append(String.format(Locale.ROOT, format, values)).append('\n');
  }

  private static String escaped(String text) {
    return text.replace("&", "&amp;").replace("<", "&lt;").replace("\"", "&quot;");
  }
}
