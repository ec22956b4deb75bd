package io.panatron.runtime.data;

/** What a sequence is among those of its row. */
public enum SequenceRole {
  /** The only sequence of its row. */
  SINGLE,
  /** A query; what it is compared with follows it. */
  ANCHOR,
  /** What belongs to the anchor before it; where there are no anchors, it starts a group. */
  POSITIVE,
  /** What does not belong to the anchor or positive before it. */
  NEGATIVE
}
