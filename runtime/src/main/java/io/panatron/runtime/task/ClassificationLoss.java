package io.panatron.runtime.task;

import io.panatron.runtime.data.SequenceTag;
import io.panatron.runtime.data.SequenceTask.ProblemType;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.IntStream;

/**
 * The loss of {@code --task_type seq_cls}: mean squared error over all numbers, mean cross-entropy
 * of the class, or mean binary cross-entropy over all classes.
 */
public record ClassificationLoss(ProblemType problem) implements SequenceLoss {

  @Override
  public Result of(double[][] outputs, List<SequenceTag> tags) {
    double[][] gradient = new double[outputs.length][];
    double loss = 0;
    for (int s = 0; s < outputs.length; s++) {
      List<Double> labels = tags.get(s).labels();
      gradient[s] = outputs[s].clone();
      loss +=
          switch (problem) {
            case SINGLE_LABEL_CLASSIFICATION ->
                Numerics.crossEntropy(
                    gradient[s], labels.getFirst().intValue(), 1.0 / outputs.length);
            case MULTI_LABEL_CLASSIFICATION -> binary(gradient[s], labels, outputs.length);
            case REGRESSION -> squared(gradient[s], labels, outputs.length);
          };
    }
    return new Result(loss, gradient);
  }

  private static double binary(double[] outputs, List<Double> labels, int sequences) {
    double share = 1.0 / ((double) sequences * outputs.length);
    double loss = 0;
    for (int i = 0; i < outputs.length; i++) {
      double label = labels.contains((double) i) ? 1 : 0;
      loss += share * Numerics.binaryCrossEntropy(outputs[i], label);
      outputs[i] = share * (Numerics.sigmoid(outputs[i]) - label);
    }
    return loss;
  }

  private static double squared(double[] outputs, List<Double> labels, int sequences) {
    double share = 1.0 / ((double) sequences * outputs.length);
    double loss = 0;
    for (int i = 0; i < outputs.length; i++) {
      double error = outputs[i] - labels.get(i);
      loss += share * error * error;
      outputs[i] = share * 2 * error;
    }
    return loss;
  }

  @Override
  public List<Map<String, Object>> predictions(double[][] outputs, List<SequenceTag> tags) {
    List<Map<String, Object>> rows = new ArrayList<>();
    for (int s = 0; s < outputs.length; s++) {
      List<Double> labels = tags.get(s).labels();
      List<Integer> classes = labels.stream().map(Double::intValue).toList();
      Map<String, Object> row = new LinkedHashMap<>();
      switch (problem) {
        case SINGLE_LABEL_CLASSIFICATION -> {
          row.put("label", classes.getFirst());
          row.put("prediction", Numerics.argmax(outputs[s]));
          row.put("scores", outputs[s]);
        }
        case MULTI_LABEL_CLASSIFICATION -> {
          double[] scores = outputs[s];
          row.put("label", classes);
          row.put(
              "prediction",
              IntStream.range(0, scores.length).filter(i -> scores[i] > 0).boxed().toList());
          row.put("scores", scores);
        }
        case REGRESSION -> {
          row.put("label", outputs[s].length == 1 ? labels.getFirst() : labels);
          row.put("prediction", outputs[s].length == 1 ? outputs[s][0] : outputs[s]);
        }
      }
      rows.add(row);
    }
    return rows;
  }

  /**
   * {@code acc}, the share of sequences of the right class, or of which every class is right; of a
   * regression {@code mse}.
   */
  @Override
  public Measures measures(boolean evaluation) {
    return new Measures() {
      private Mean mean = Mean.NONE;

      @Override
      public void add(double[][] outputs, List<SequenceTag> tags) {
        for (int s = 0; s < outputs.length; s++) {
          mean = mean.plus(measured(outputs[s], tags.get(s).labels()));
        }
      }

      @Override
      public SortedMap<String, Mean> values() {
        SortedMap<String, Mean> values = new TreeMap<>();
        if (mean.count() > 0) {
          values.put(problem == ProblemType.REGRESSION ? "mse" : "acc", mean);
        }
        return values;
      }
    };
  }

  private double measured(double[] outputs, List<Double> labels) {
    return switch (problem) {
      case SINGLE_LABEL_CLASSIFICATION ->
          Numerics.argmax(outputs) == labels.getFirst().intValue() ? 1 : 0;
      case MULTI_LABEL_CLASSIFICATION -> {
        boolean right = true;
        for (int i = 0; i < outputs.length; i++) {
          right &= outputs[i] > 0 == labels.contains((double) i);
        }
        yield right ? 1 : 0;
      }
      case REGRESSION -> squared(outputs.clone(), labels, 1);
    };
  }
}
