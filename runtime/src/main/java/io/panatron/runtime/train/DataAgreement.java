package io.panatron.runtime.train;

import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.Checkpoint;
import java.time.ZonedDateTime;
import java.time.format.DateTimeParseException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import org.jspecify.annotations.Nullable;

/**
 * What the texts of a trainer state say of the data, so that a resumed run is not given other
 * samples, or another order of them, unnoticed.
 */
final class DataAgreement {
  /** The name of the time that the chat template takes for the present. */
  static final String TEMPLATE_TIME = "template_time";

  /** Before the names of the parameters that decide the data. */
  private static final String DATA = "data ";

  private DataAgreement() {}

  /** What decides the samples and their order, as a trainer state keeps it. */
  static Map<String, String> of(TrainingConfig config, RunInputs inputs) {
    Map<String, String> texts = new TreeMap<>();
    inputs.data().identity().forEach((name, value) -> texts.put(DATA + name, value));
    texts.put(DATA + "--task_type", inputs.task().name());
    TrainingConfig.Data data = config.data();
    texts.put(DATA + "--dataloader_type", data.cyclic() ? "cyclic" : "other");
    texts.put(DATA + "--train_dataloader_shuffle", String.valueOf(data.shuffle()));
    texts.put(DATA + "--no_data_sharding", String.valueOf(!data.sharded()));
    return texts;
  }

  /**
   * Compares what both know, so that checkpoints of older versions still resume.
   *
   * @throws UserError naming what differs
   */
  static void require(Map<String, String> saved, Map<String, String> now) {
    List<String> different = new ArrayList<>();
    now.forEach((name, value) -> {
      String before = saved.get(name);
      if (before != null && !before.equals(value)) {
        different.add(name.substring(DATA.length()));
      }
    });
    if (!different.isEmpty()) {
      throw new UserError(
          ("the checkpoint was trained with other samples or another order of them, by %s, so its"
                  + " place in the data cannot be found again; use the same data and settings, or"
                  + " --finetune true")
              .formatted(String.join(", ", different)));
    }
  }

  /** The time of the run's start, which a resumed run takes from its checkpoint. */
  static ZonedDateTime templateTime(
      @Nullable Checkpoint checkpoint, TrainingConfig.@Nullable Resume resume) {
    if (checkpoint == null || resume == null || resume.finetune()) {
      return ZonedDateTime.now();
    }
    String saved = checkpoint.trainerState().texts().get(TEMPLATE_TIME);
    if (saved == null) {
      return ZonedDateTime.now();
    }
    try {
      return ZonedDateTime.parse(saved);
    } catch (DateTimeParseException e) {
      throw new UserError(
          "the trainer state of %s has '%s' where the time of the run's start belongs; load another checkpoint"
              .formatted(checkpoint.folder(), saved),
          e);
    }
  }
}
