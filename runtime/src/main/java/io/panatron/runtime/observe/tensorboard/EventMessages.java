package io.panatron.runtime.observe.tensorboard;

import java.util.Map;

/**
 * The messages of an event file.
 *
 * <p>Field numbers from TensorBoard, tensorboard/compat/proto: event.proto, summary.proto,
 * tensor.proto.
 */
final class EventMessages {
  static final int WALL_TIME = 1;
  static final int STEP = 2;
  static final int FILE_VERSION = 3;
  static final int SUMMARY = 5;
  static final int SESSION_LOG = 7;
  static final int SUMMARY_VALUE = 1;
  static final int VALUE_TAG = 1;
  static final int VALUE_SIMPLE = 2;
  static final int SESSION_STATUS = 1;
  static final int SESSION_START = 1;

  private static final int VALUE_TENSOR = 8;
  private static final int VALUE_METADATA = 9;
  private static final int METADATA_PLUGIN = 1;
  private static final int PLUGIN_NAME = 1;
  private static final int TENSOR_DTYPE = 1;
  private static final int TENSOR_SHAPE = 2;
  private static final int TENSOR_STRINGS = 8;
  private static final int SHAPE_DIMENSION = 2;
  private static final int DIMENSION_SIZE = 1;
  private static final int DTYPE_STRING = 7;

  private EventMessages() {}

  /** What every file begins with; readers take the fields above only from this version on. */
  static byte[] fileVersion(double wallTime) {
    return new ProtobufWriter()
        .doubleNumber(WALL_TIME, wallTime)
        .text(FILE_VERSION, "brain.Event:2")
        .toBytes();
  }

  /**
   * The start of a run in a folder that was used before: readers forget what earlier files say
   * about this step and later.
   */
  static byte[] sessionStart(double wallTime, long firstStep) {
    return event(wallTime, firstStep)
        .message(SESSION_LOG, new ProtobufWriter().integer(SESSION_STATUS, SESSION_START))
        .toBytes();
  }

  /** Several scalars of one step. */
  static byte[] scalars(double wallTime, long step, Map<String, Double> values) {
    ProtobufWriter summary = new ProtobufWriter();
    values.forEach((tag, value) ->
        summary.message(
            SUMMARY_VALUE,
            new ProtobufWriter()
                .text(VALUE_TAG, tag)
                .floatNumber(VALUE_SIMPLE, value.floatValue())));
    return event(wallTime, step).message(SUMMARY, summary).toBytes();
  }

  /** A text, which TensorBoard shows as Markdown. */
  static byte[] text(double wallTime, long step, String tag, String text) {
    ProtobufWriter one = new ProtobufWriter().integer(DIMENSION_SIZE, 1);
    ProtobufWriter tensor =
        new ProtobufWriter()
            .integer(TENSOR_DTYPE, DTYPE_STRING)
            .message(TENSOR_SHAPE, new ProtobufWriter().message(SHAPE_DIMENSION, one))
            .text(TENSOR_STRINGS, text);
    ProtobufWriter plugin = new ProtobufWriter().text(PLUGIN_NAME, "text");
    ProtobufWriter value =
        new ProtobufWriter()
            .text(VALUE_TAG, tag)
            .message(VALUE_TENSOR, tensor)
            .message(VALUE_METADATA, new ProtobufWriter().message(METADATA_PLUGIN, plugin));
    return event(wallTime, step)
        .message(SUMMARY, new ProtobufWriter().message(SUMMARY_VALUE, value))
        .toBytes();
  }

  private static ProtobufWriter event(double wallTime, long step) {
    return new ProtobufWriter().doubleNumber(WALL_TIME, wallTime).integer(STEP, step);
  }
}
