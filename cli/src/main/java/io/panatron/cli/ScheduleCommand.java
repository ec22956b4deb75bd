package io.panatron.cli;

import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.pipeline.PipelineLayout;
import io.panatron.runtime.parallel.pipeline.PipelineSplit;
import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.SplitOptions;
import io.panatron.runtime.parallel.timeline.RecordedSlots;
import io.panatron.runtime.parallel.timeline.SvgChart;
import io.panatron.runtime.parallel.timeline.TextChart;
import io.panatron.runtime.parallel.timeline.Timeline;
import java.io.IOException;
import java.io.PrintWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Objects;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import org.jspecify.annotations.Nullable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/** {@code trainer schedule}: draws what the stages of a pipeline do during a step. */
@Command(
    name = "schedule",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    description = "Draw when the stages of a pipeline compute and wait, planned or as recorded.")
final class ScheduleCommand implements Callable<Integer> {
  /** Enough to see each phase of a schedule. */
  private static final int DEFAULT_ROUNDS = 2;

  private final Supplier<Terminal> terminal;

  @Spec @Nullable CommandSpec spec;

  @Option(
      names = "--pipeline_model_parallel_size",
      paramLabel = "N",
      description = "Stages of the pipeline.")
  @Nullable Integer pipeline;

  @Option(
      names = "--num_microbatches",
      paramLabel = "N",
      description = "Micro-batches of a step; default: twice the stages.")
  @Nullable Integer microBatches;

  @Option(
      names = "--num_virtual_stages_per_pipeline_rank",
      paramLabel = "N",
      description = "Model chunks of each stage.")
  @Nullable Integer virtualStages;

  @Option(
      names = "--num_layers_per_virtual_pipeline_stage",
      paramLabel = "N",
      description = "Layers of each model chunk; needs --num_layers.")
  @Nullable Integer layersPerVirtualStage;

  @Option(
      names = "--microbatch_group_size_per_virtual_pipeline_stage",
      paramLabel = "N",
      description = "Micro-batches that pass a chunk in a row; default: the number of stages.")
  @Nullable Integer group;

  @Option(
      names = "--num_layers",
      paramLabel = "N",
      description = "Layers of the model; shows which stage holds which.")
  @Nullable Integer layers;

  @Option(
      names = "--mtp_num_layers",
      paramLabel = "N",
      defaultValue = "0",
      description = "Multi-token prediction layers of the model; default: 0.")
  int mtpLayers;

  @Option(names = "--decoder_first_pipeline_num_layers", paramLabel = "N", description = "As sft.")
  @Nullable Integer firstLayers;

  @Option(names = "--decoder_last_pipeline_num_layers", paramLabel = "N", description = "As sft.")
  @Nullable Integer lastLayers;

  @Option(
      names = "--account_for_embedding_in_pipeline_split",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description = "As sft.")
  boolean accountForEmbedding;

  @Option(
      names = "--account_for_loss_in_pipeline_split",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description = "As sft.")
  boolean accountForLoss;

  @Option(
      names = "--pipeline_model_parallel_layout",
      paramLabel = "LAYOUT",
      description = "Stages written out, as 'E|(t|)*3,m|m||L'.")
  @Nullable String layout;

  @Option(
      names = "--forward_only",
      arity = "0..1",
      fallbackValue = "true",
      defaultValue = "false",
      paramLabel = "BOOL",
      description = "The schedule of an evaluation; default: false.")
  boolean forwardOnly;

  @Option(
      names = "--forward_time",
      paramLabel = "TIME",
      defaultValue = "1",
      description = "Time of a micro-batch forward through all chunks of a stage; default: 1.")
  double forwardTime;

  @Option(
      names = "--backward_time",
      paramLabel = "TIME",
      defaultValue = "2",
      description = "The same backward; default: 2.")
  double backwardTime;

  @Option(
      names = "--recording",
      arity = "1..*",
      paramLabel = "FILE",
      description = "Draw what a run did, from its JFR recordings (one of each process).")
  List<Path> recordings = List.of();

  @Option(
      names = "--iteration",
      paramLabel = "N",
      description = "Which step of the recording; default: the last one.")
  @Nullable Long iteration;

  @Option(
      names = "--output",
      paramLabel = "FILE",
      description = "Write the picture to this SVG file; replaces the file.")
  @Nullable Path output;

  @Option(names = "--width", paramLabel = "N", description = "Columns; default: the terminal's.")
  @Nullable Integer width;

  @Option(
      names = "--ascii",
      arity = "0..1",
      fallbackValue = "true",
      paramLabel = "BOOL",
      description = "Draw with ASCII alone; default: where the terminal is not UTF-8.")
  @Nullable Boolean ascii;

  /**
   * The command.
   *
   * @param terminal what can be shown, looked up when something is
   */
  ScheduleCommand(Supplier<Terminal> terminal) {
    this.terminal = terminal;
  }

  @Override
  public Integer call() {
    PrintWriter out = Objects.requireNonNull(spec).commandLine().getOut();
    check();
    String picture;
    if (recordings.isEmpty()) {
      PipelineSplit split = split();
      Schedule schedule = schedule(split);
      Timeline timeline = Timeline.planned(schedule, forwardTime, backwardTime);
      picture = output == null ? "" : SvgChart.draw(timeline);
      show(out, timeline);
      facts(schedule, timeline).forEach(out::println);
      if (split != null) {
        SplitText.lines(split).forEach(out::println);
      }
    } else {
      Timeline timeline = RecordedSlots.read(recordings, iteration);
      picture = output == null ? "" : SvgChart.draw(timeline);
      show(out, timeline);
    }
    if (output != null) {
      write(output, picture);
      out.println("Wrote " + output);
    }
    return 0;
  }

  private void check() {
    if (recordings.isEmpty() && pipeline == null) {
      throw new UserError(
          "trainer schedule needs --pipeline_model_parallel_size N for a plan, or --recording FILE for what a run did.");
    }
    if (!recordings.isEmpty() && pipeline != null) {
      throw new UserError(
          "--recording and --pipeline_model_parallel_size both say what to draw; keep one of them.");
    }
    if (recordings.isEmpty() && iteration != null) {
      throw new UserError("--iteration chooses a step of a --recording; add that or leave it out.");
    }
    if (!(forwardTime > 0) || !(backwardTime > 0) || forwardTime + backwardTime > 1e12) {
      throw new UserError(
          "--forward_time is %s and --backward_time %s; both must be above 0 and below 1e12."
              .formatted(forwardTime, backwardTime));
    }
    if (width != null && width < 1) {
      throw new UserError("--width is %d; it must be at least 1.".formatted(width));
    }
  }

  private @Nullable PipelineSplit split() {
    SplitOptions options =
        new SplitOptions(
            stages(),
            firstLayers,
            lastLayers,
            accountForEmbedding,
            accountForLoss,
            virtualStages,
            layersPerVirtualStage,
            layout == null ? null : PipelineLayout.parse(layout));
    if (layers != null) {
      return PipelineSplit.of(options, layers, mtpLayers);
    }
    if (!options.equals(
        new SplitOptions(stages(), null, null, false, false, virtualStages, null, null))) {
      throw new UserError(
          "how layers are split depends on the model; add --num_layers N, its number of layers.");
    }
    return null;
  }

  private Schedule schedule(@Nullable PipelineSplit split) {
    int chunks = split != null ? split.chunks() : virtualStages == null ? 1 : virtualStages;
    int count = microBatches == null ? DEFAULT_ROUNDS * stages() : microBatches;
    return forwardOnly
        ? Schedule.evaluation(stages(), chunks, count, group)
        : Schedule.training(stages(), chunks, count, group);
  }

  private int stages() {
    return Objects.requireNonNull(pipeline);
  }

  private void show(PrintWriter out, Timeline timeline) {
    Terminal shown = terminal.get();
    boolean unicode = ascii == null ? shown.unicode() : !ascii;
    TextChart chart = new TextChart(width == null ? shown.width() : width, unicode, shown.colour());
    out.println(timeline.title() + ": " + timeline.bubbleText());
    for (String line : chart.lines(timeline)) {
      out.println(line);
      ClosedOutputException.check(out);
    }
    out.println(chart.legend(timeline));
  }

  private static List<String> facts(Schedule schedule, Timeline timeline) {
    List<String> lines = new ArrayList<>();
    double least = 100 * schedule.idealBubble();
    lines.add(
        String.format(
            Locale.ROOT,
            "a rank waits %.2f %% of the step; (p - 1) / (v m + p - 1) is %.2f %%",
            100 * timeline.bubble(),
            least));
    if (!schedule.forwardOnly()) {
      int last = schedule.pipeline() - 1;
      lines.add(
          "activations of at most %d micro-batches%s on stage 0, of %d on stage %d"
              .formatted(
                  schedule.activationBound(0),
                  schedule.chunks() == 1 ? "" : " times chunks",
                  schedule.activationBound(last),
                  last));
    }
    return lines;
  }

  private static void write(Path file, String picture) {
    try {
      Files.writeString(file, picture);
    } catch (IOException e) {
      throw new UserError(
          "--output %s cannot be written (%s); give a file in a folder that can be written."
              .formatted(file, e.getMessage()),
          e);
    }
  }
}
