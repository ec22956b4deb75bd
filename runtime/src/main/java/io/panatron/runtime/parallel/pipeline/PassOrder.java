package io.panatron.runtime.parallel.pipeline;

/**
 * The order in which a rank takes micro-batches through its model chunks.
 *
 * <p>Micro-batches go in groups; a group passes through one chunk after another. Pass {@code i}
 * backward takes the micro-batch of pass {@code i} forward and the chunk that is as far from the
 * last as that one is from the first. Source: Megatron-Core, pipeline_parallel/schedules.py, {@code
 * get_schedule_table}.
 *
 * @param group micro-batches of a group; the last may have fewer
 */
record PassOrder(int microBatches, int chunks, int group) {
  int microBatch(int pass) {
    int start = start(pass);
    return start + (pass - start * chunks) % size(start);
  }

  int chunk(int pass) {
    int start = start(pass);
    return (pass - start * chunks) / size(start);
  }

  int backwardChunk(int pass) {
    return chunks - 1 - chunk(pass);
  }

  /** First micro-batch of the group of a pass. */
  private int start(int pass) {
    return pass / (group * chunks) * group;
  }

  private int size(int start) {
    return Math.min(group, microBatches - start);
  }

  int passes() {
    return microBatches * chunks;
  }
}
