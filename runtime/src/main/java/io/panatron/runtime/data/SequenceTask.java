package io.panatron.runtime.data;

import org.jspecify.annotations.Nullable;

/** How rows become sequences and labels, where the loss is not that of tokens. */
public sealed interface SequenceTask {
  /** What decides the sequences and labels of a row, before any is chosen. */
  String rowIdentity();

  /** {@code --problem_type}. */
  enum ProblemType {
    REGRESSION,
    SINGLE_LABEL_CLASSIFICATION,
    MULTI_LABEL_CLASSIFICATION;

    /** The parameter's name for it, as config.json has it. */
    public String parameterName() {
      return name().toLowerCase(java.util.Locale.ROOT);
    }

    /** Reads the parameter. */
    public static ProblemType parse(String name) {
      return valueOf(name.toUpperCase(java.util.Locale.ROOT));
    }
  }

  /**
   * {@code --task_type seq_cls}: a row is a sequence with its label column.
   *
   * @param labels classes, or numbers of a regression
   */
  record Classification(ProblemType problem, int labels) implements SequenceTask {
    @Override
    public String rowIdentity() {
      return toString();
    }
  }

  /** What the {@code label} of a pair may be. */
  enum PairLabel {
    /** Any number; 1 where there is none. */
    NUMBER,
    /** 0 or 1; 1 where there is none. */
    BINARY,
    /** Nothing looks at it, and rows may have negatives. */
    NONE
  }

  /**
   * {@code --task_type embedding}: a row is an anchor, a positive, and negatives where the loss
   * takes them.
   *
   * @param lossType as the user knows it, for messages
   * @param mostNegatives how many negatives are kept, the first; null for all
   * @param needsNegatives whether a row must have a negative
   */
  record Embedding(
      String lossType, PairLabel label, @Nullable Integer mostNegatives, boolean needsNegatives)
      implements SequenceTask {
    @Override
    public String rowIdentity() {
      return "embedding " + label + (needsNegatives ? " with negatives" : "");
    }
  }

  /**
   * {@code --task_type reranker} and {@code generative_reranker}: a row is a query with positive
   * and negative documents, of which each sequence has one.
   *
   * @param mostPositives positives drawn from a row, each with negatives of its own
   * @param mostNegatives negatives drawn for a positive
   */
  record Reranking(int mostPositives, int mostNegatives) implements SequenceTask {
    @Override
    public String rowIdentity() {
      return "reranking";
    }
  }
}
