package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * The less common choices in reading data sets; {@link #DEFAULT} reads them as they are.
 *
 * @param columns what columns of the data mean
 * @param mixing how training data sets are mixed; null means one after the other
 * @param packing how samples are packed; null means not at all
 * @param groupByLength whether a batch has samples of similar length
 * @param tokens when rows are tokenized and where tokens are kept
 * @param streaming how training rows are streamed; null reads them before training
 * @param channels whether rows keep the group in which their loss is shown
 * @param columnsOf what columns of single data sets mean besides, by their value of {@code
 *     --dataset}
 * @param task how rows become labelled sequences; null where the loss is that of tokens
 */
public record Reading(
    ColumnNames columns,
    @Nullable Mixing mixing,
    @Nullable Packing packing,
    boolean groupByLength,
    Tokens tokens,
    @Nullable Streaming streaming,
    boolean channels,
    Map<String, ColumnNames> columnsOf,
    @Nullable SequenceTask task) {
  public static final Reading DEFAULT =
      new Reading(ColumnNames.DEFAULT, null, null, false, Tokens.LAZY, null);

  /** With losses of tokens, and without columns of single data sets. */
  public Reading(
      ColumnNames columns,
      @Nullable Mixing mixing,
      @Nullable Packing packing,
      boolean groupByLength,
      Tokens tokens,
      @Nullable Streaming streaming,
      boolean channels) {
    this(columns, mixing, packing, groupByLength, tokens, streaming, channels, Map.of(), null);
  }

  /** Without channels. */
  public Reading(
      ColumnNames columns,
      @Nullable Mixing mixing,
      @Nullable Packing packing,
      boolean groupByLength,
      Tokens tokens,
      @Nullable Streaming streaming) {
    this(columns, mixing, packing, groupByLength, tokens, streaming, false);
  }

  public Reading {
    columnsOf = Map.copyOf(columnsOf);
    if (Boolean.TRUE.equals(tokens.lazy())) {
      String needs =
          packing != null
              ? "--packing"
              : groupByLength
                  ? "--group_by_length"
                  : tokens.cache() != null ? "--load_from_cache_file" : null;
      if (needs != null) {
        throw new UserError(
            "--lazy_tokenize true contradicts "
                + needs
                + " true, for which rows must be tokenized before training; drop one of them");
      }
    }
  }

  /** The same with what columns of single data sets mean. */
  public Reading with(Map<String, ColumnNames> columnsOfData) {
    return new Reading(
        columns, mixing, packing, groupByLength, tokens, streaming, channels, columnsOfData, task);
  }

  /** The same reading of rows that become labelled sequences, or not with null. */
  Reading withTask(@Nullable SequenceTask asked) {
    return new Reading(
        columns, mixing, packing, groupByLength, tokens, streaming, channels, columnsOf, asked);
  }

  /** What the columns of a data set mean. */
  ColumnNames columnsOf(String dataset) {
    ColumnNames own = columnsOf.get(dataset);
    return own == null ? columns : columns.over(own);
  }

  /** Whether rows are tokenized before training. */
  boolean tokenizesFirst() {
    return packing != null
        || groupByLength
        || tokens.cache() != null
        || Boolean.FALSE.equals(tokens.lazy());
  }
}
