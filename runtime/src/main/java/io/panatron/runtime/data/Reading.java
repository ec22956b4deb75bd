package io.panatron.runtime.data;

/**
 * The less common choices in reading data sets; {@link #DEFAULT} reads them as they are.
 *
 * @param columns what columns of the data mean
 */
public record Reading(ColumnNames columns) {
  public static final Reading DEFAULT = new Reading(ColumnNames.DEFAULT);
}
