package io.panatron.runtime.parallel.pipeline;

import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Stages written out layer by layer, as {@code E|(t|)*3,m|m||L}.
 *
 * <p>Letters are E (embedding), t (decoder layer), m (multi-token prediction) and L (loss); a bar
 * ends a stage, which may be empty; {@code (...)*n} repeats what stands in the parentheses, which
 * do not nest, and {@code x*n} one letter or bar; commas mean nothing. Source: Megatron-Core,
 * transformer/pipeline_parallel_layer_layout.py.
 *
 * @param text as it was written
 * @param stages what each stage holds, in the order of the layers
 */
public record PipelineLayout(String text, List<List<LayerKind>> stages) {
  private static final Pattern REPEATED_GROUP = Pattern.compile("\\(([^)]+)\\)\\*(\\d+)");
  private static final Pattern REPEATED_LETTER = Pattern.compile("(.)\\*(\\d+)");

  /** More than any model has; keeps a mistyped count from filling the memory. */
  private static final int LONGEST = 100_000;

  public PipelineLayout {
    stages = stages.stream().map(List::copyOf).toList();
  }

  /** Reads a layout, without comparing it to a model. */
  public static PipelineLayout parse(String text) {
    String letters = text.replace(",", "");
    letters = repeat(text, letters, REPEATED_GROUP);
    letters = repeat(text, letters, REPEATED_LETTER);
    List<List<LayerKind>> stages = new ArrayList<>();
    for (String stage : letters.split("\\|", -1)) {
      List<LayerKind> kinds = new ArrayList<>();
      for (int i = 0; i < stage.length(); i++) {
        char letter = stage.charAt(i);
        LayerKind kind = LayerKind.of(letter);
        if (kind == null) {
          throw refusal(
              text,
              "'%c' is no layer; use E, t, m and L, bars between stages, and (...)*n without nesting"
                  .formatted(letter));
        }
        kinds.add(kind);
      }
      stages.add(kinds);
    }
    return new PipelineLayout(text, stages);
  }

  private static String repeat(String text, String letters, Pattern pattern) {
    Matcher matcher = pattern.matcher(letters);
    StringBuilder result = new StringBuilder();
    int end = 0;
    while (matcher.find()) {
      result.append(letters, end, matcher.start());
      String count = matcher.group(2);
      String part = matcher.group(1);
      // A count of more than nine digits would overflow before it is compared.
      if (count.length() > 9
          || (long) Integer.parseInt(count) * part.length() + result.length() > LONGEST) {
        throw refusal(text, "it repeats to more than " + LONGEST + " letters; lower the counts");
      }
      result.repeat(part, Integer.parseInt(count));
      end = matcher.end();
    }
    return result.append(letters, end, letters.length()).toString();
  }

  /**
   * The split that this layout means for a model.
   *
   * @param pipeline ranks of the pipeline; divides the number of stages
   * @param layers decoder layers of the model
   * @param mtpLayers multi-token prediction layers of the model
   */
  PipelineSplit split(int pipeline, int layers, int mtpLayers) {
    if (stages.size() % pipeline != 0) {
      throw refusal(
          text,
          "its %d stages cannot be divided among --pipeline_model_parallel_size %d ranks; add or remove bars"
              .formatted(stages.size(), pipeline));
    }
    List<LayerKind> flat = stages.stream().flatMap(List::stream).toList();
    checkEnds(flat);
    checkCount(flat, LayerKind.DECODER, layers, "decoder layers");
    checkCount(flat, LayerKind.MTP, mtpLayers, "multi-token prediction layers");
    checkMtp(flat, pipeline);
    List<PipelineSplit.Stage> split = new ArrayList<>();
    int first = 0;
    for (List<LayerKind> stage : stages) {
      int count = Collections.frequency(stage, LayerKind.DECODER);
      split.add(
          new PipelineSplit.Stage(
              stage.contains(LayerKind.EMBEDDING),
              first,
              count,
              Collections.frequency(stage, LayerKind.MTP),
              stage.contains(LayerKind.LOSS)));
      first += count;
    }
    return new PipelineSplit(pipeline, split);
  }

  private void checkEnds(List<LayerKind> flat) {
    if (flat.isEmpty()
        || flat.getFirst() != LayerKind.EMBEDDING
        || Collections.frequency(flat, LayerKind.EMBEDDING) != 1) {
      throw refusal(text, "it must begin with the embedding E and have no second one");
    }
    if (flat.getLast() != LayerKind.LOSS || Collections.frequency(flat, LayerKind.LOSS) != 1) {
      throw refusal(text, "it must end with the loss L and have no second one");
    }
  }

  private void checkCount(List<LayerKind> flat, LayerKind kind, int expected, String name) {
    int count = Collections.frequency(flat, kind);
    if (count != expected) {
      throw refusal(
          text,
          "it has %d %s (%c) where the model has %d; change the number of %c"
              .formatted(count, name, kind.letter(), expected, kind.letter()));
    }
  }

  private void checkMtp(List<LayerKind> flat, int pipeline) {
    int firstMtp = flat.indexOf(LayerKind.MTP);
    if (firstMtp < 0) {
      return;
    }
    if (flat.lastIndexOf(LayerKind.DECODER) > firstMtp) {
      throw refusal(text, "no decoder layer t may follow a multi-token prediction layer m");
    }
    int holders = 0;
    for (int i = 0; i < stages.size(); i++) {
      if (!stages.get(i).contains(LayerKind.MTP)) {
        continue;
      }
      holders++;
      if (i < stages.size() - pipeline) {
        throw refusal(
            text,
            "stage %d holds an m but is not its rank's last; place m in one of the last %d stages"
                .formatted(i, pipeline));
      }
    }
    if (holders > 1) {
      throw refusal(text, "all multi-token prediction layers m must stand in one stage");
    }
  }

  private static UserError refusal(String text, String problem) {
    return new UserError(
        "--pipeline_model_parallel_layout %s cannot be used: %s.".formatted(text, problem));
  }
}
