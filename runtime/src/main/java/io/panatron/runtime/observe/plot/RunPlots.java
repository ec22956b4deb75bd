package io.panatron.runtime.observe.plot;

import io.panatron.runtime.observe.tensorboard.EventFolder;
import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.awt.Graphics2D;
import java.awt.image.BufferedImage;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.NavigableMap;
import javax.imageio.ImageIO;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler.LegendPosition;
import org.knowm.xchart.style.XYStyler;
import org.knowm.xchart.style.markers.Marker;
import org.knowm.xchart.style.markers.SeriesMarkers;

/** {@code images/}: one PNG for each scalar in a run's TensorBoard files. */
public final class RunPlots {
  private static final int WIDTH = 960;
  private static final int HEIGHT = 540;

  /** More points than pixels only cost time. */
  private static final int MOST_POINTS = 2 * WIDTH;

  /** Fewer points are drawn with a mark each, and no smoothed line. */
  private static final int FEW_POINTS = 20;

  /** The smoothed line averages over about this share of the points. */
  private static final double SMOOTHED_SHARE = 1.0 / 15;

  private static final Color PALE = new Color(0x9ec5f4);
  private static final Color STRONG = new Color(0x1f5fbf);
  private static final Color TEXT = new Color(0x2b2f36);
  private static final Color GRID = new Color(0xe3e6eb);

  private RunPlots() {}

  /**
   * Draws all plots anew.
   *
   * @param events TensorBoard's folder
   * @param images where the plots go; made where missing
   * @return how many were drawn
   */
  public static int draw(Path events, Path images) throws IOException {
    NavigableMap<String, NavigableMap<Long, Float>> scalars = EventFolder.read(events).scalars();
    Files.createDirectories(images);
    for (Map.Entry<String, NavigableMap<Long, Float>> scalar : scalars.entrySet()) {
      write(chart(scalar.getKey(), scalar.getValue()), images.resolve(fileName(scalar.getKey())));
    }
    return scalars.size();
  }

  /** {@code train/loss} is drawn in {@code train_loss.png}; a name cannot leave the folder. */
  static String fileName(String tag) {
    return tag.replaceAll("[^A-Za-z0-9._()-]", "_") + ".png";
  }

  private static void write(XYChart chart, Path file) throws IOException {
    BufferedImage image = new BufferedImage(WIDTH, HEIGHT, BufferedImage.TYPE_INT_RGB);
    Graphics2D graphics = image.createGraphics();
    try {
      chart.paint(graphics, WIDTH, HEIGHT);
    } finally {
      graphics.dispose();
    }
    if (!ImageIO.write(image, "png", file.toFile())) {
      throw new IOException("this Java cannot write PNG files");
    }
  }

  private static XYChart chart(String tag, NavigableMap<Long, Float> points) {
    XYChart chart =
        new XYChartBuilder().width(WIDTH).height(HEIGHT).title(tag).xAxisTitle("iteration").build();
    style(chart.getStyler());
    List<Long> steps = new ArrayList<>();
    List<Float> values = new ArrayList<>();
    int stride = Math.ceilDiv(points.size(), MOST_POINTS);
    int index = 0;
    for (Map.Entry<Long, Float> point : points.entrySet()) {
      boolean last = index == points.size() - 1;
      if ((index++ % stride == 0 || last) && Float.isFinite(point.getValue())) {
        steps.add(point.getKey());
        values.add(point.getValue());
      }
    }
    if (steps.isEmpty()) {
      chart.setTitle(tag + " (no finite value)");
      return chart;
    }
    boolean few = steps.size() < FEW_POINTS;
    Marker marker = few ? SeriesMarkers.CIRCLE : SeriesMarkers.NONE;
    add(chart, "measured", steps, values, few ? STRONG : PALE, marker);
    if (!few) {
      add(chart, "smoothed", steps, smoothed(values), STRONG, SeriesMarkers.NONE);
    }
    chart.getStyler().setLegendVisible(!few);
    return chart;
  }

  private static void add(
      XYChart chart,
      String name,
      List<Long> steps,
      List<Float> values,
      Color color,
      Marker marker) {
    XYSeries series = chart.addSeries(name, steps, values);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(2, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    series.setMarker(marker);
    series.setMarkerColor(color);
  }

  /** An exponential average that does not start at zero, as TensorBoard's own smoothing. */
  static List<Float> smoothed(List<Float> values) {
    double past = 1 - 1 / Math.max(2, values.size() * SMOOTHED_SHARE);
    List<Float> smoothed = new ArrayList<>();
    double sum = 0;
    double weight = 0;
    for (float value : values) {
      sum = past * sum + (1 - past) * value;
      weight = past * weight + (1 - past);
      smoothed.add((float) (sum / weight));
    }
    return smoothed;
  }

  private static void style(XYStyler styler) {
    styler.setChartBackgroundColor(Color.WHITE);
    styler.setPlotBackgroundColor(Color.WHITE);
    styler.setPlotBorderVisible(false);
    styler.setPlotGridLinesColor(GRID);
    styler.setPlotGridLinesStroke(new BasicStroke(1));
    styler.setPlotGridVerticalLinesVisible(false);
    styler.setChartFontColor(TEXT);
    styler.setAxisTickLabelsColor(TEXT);
    styler.setChartTitleBoxVisible(false);
    styler.setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 20));
    styler.setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 15));
    styler.setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
    styler.setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 14));
    styler.setLegendPosition(LegendPosition.InsideNE);
    styler.setLegendBorderColor(GRID);
    styler.setChartPadding(16);
    styler.setMarkerSize(7);
  }
}
