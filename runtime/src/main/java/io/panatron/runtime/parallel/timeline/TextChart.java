package io.panatron.runtime.parallel.timeline;

import java.util.ArrayList;
import java.util.List;

/**
 * Draws a timeline with letters: one line per rank, time from left to right.
 *
 * <p>A slot begins with the number of its micro-batch and, where there are several chunks, a letter
 * for its chunk, as far as there is room; the rest tells forward from backward.
 *
 * @param width columns of the terminal
 * @param unicode whether it shows more than ASCII
 * @param colour whether it takes ANSI colours
 */
public record TextChart(int width, boolean unicode, boolean colour) {
  /** Ranks above and below the gap in a chart of more ranks than twice this. */
  private static final int MOST_ROWS = 32;

  private static final int FEWEST_CELLS = 16;
  private static final int[] FORWARD_COLOURS = {153, 117, 75, 69};
  private static final int[] BACKWARD_COLOURS = {157, 120, 78, 71};
  private static final String RESET = "\u001b[0m";

  /** Lines of the chart, without line ends. */
  public List<String> lines(Timeline timeline) {
    int label = timeline.rows().stream().mapToInt(String::length).max().orElse(0);
    int room = Math.max(FEWEST_CELLS, width - label - 2);
    double cell = cellDuration(timeline, room);
    List<String> lines = new ArrayList<>();
    int rows = timeline.rows().size();
    int next = 0;
    for (int row = 0; row < rows; row++) {
      int from = next;
      while (next < timeline.slots().size() && timeline.slots().get(next).row() == row) {
        next++;
      }
      if (rows > 2 * MOST_ROWS && row >= MOST_ROWS && row < rows - MOST_ROWS) {
        if (row == MOST_ROWS) {
          lines.add("... %d more".formatted(rows - 2 * MOST_ROWS));
        }
        continue;
      }
      String name = timeline.rows().get(row);
      lines.add(
          name
              + " ".repeat(label - name.length() + 2)
              + row(timeline.slots().subList(from, next), timeline, cell));
    }
    return lines;
  }

  /** What the signs mean. */
  public String legend(Timeline timeline) {
    String chunks = timeline.chunks() > 1 ? ", a letter its chunk" : "";
    return "%s forward, %s backward, %s waiting; a number is a micro-batch%s"
        .formatted(forwardSign(), backwardSign(), idleSign(), chunks);
  }

  /** Time of one column: a whole number of them to the shortest slot where that fits. */
  private static double cellDuration(Timeline timeline, int room) {
    double duration = timeline.duration();
    double shortest =
        timeline.slots().stream()
            .mapToDouble(Slot::duration)
            .filter(d -> d > 0)
            .min()
            .orElse(duration);
    double columns = Math.floor(room / (duration / shortest) + 1e-9);
    return columns >= 1 ? shortest / columns : duration / room;
  }

  private String row(List<Slot> slots, Timeline timeline, double cell) {
    StringBuilder line = new StringBuilder();
    int column = 0;
    for (Slot slot : slots) {
      int from = Math.max(column, (int) Math.round(slot.start() / cell));
      int to = (int) Math.round(slot.end() / cell);
      if (to <= from) {
        continue; // shorter than a column
      }
      line.repeat((int) idleSign(), from - column);
      line.append(slot(slot, to - from, timeline.chunks()));
      column = to;
    }
    int end = (int) Math.round(timeline.duration() / cell);
    return line.repeat((int) idleSign(), Math.max(0, end - column)).toString();
  }

  private String slot(Slot slot, int cells, int chunks) {
    String number = Integer.toString(slot.microBatch());
    String chunk = chunks > 1 ? Character.toString('a' + slot.chunk() % 26) : "";
    // One column is left for the direction, which colour tells already.
    int room = colour ? cells : cells - 1;
    String text = number.length() + chunk.length() <= room ? number + chunk : number;
    text = text.length() <= room ? text : "";
    String filled = text + String.valueOf(sign(slot)).repeat(cells - text.length());
    if (!colour) {
      return filled;
    }
    int[] shades = slot.backward() ? BACKWARD_COLOURS : FORWARD_COLOURS;
    return "\u001b[30;48;5;%dm%s%s".formatted(shades[slot.chunk() % shades.length], filled, RESET);
  }

  private char sign(Slot slot) {
    return slot.backward() ? backwardSign() : forwardSign();
  }

  private char forwardSign() {
    return unicode ? '▸' : '>';
  }

  private char backwardSign() {
    return unicode ? '◂' : '<';
  }

  private char idleSign() {
    return unicode ? '·' : '.';
  }
}
