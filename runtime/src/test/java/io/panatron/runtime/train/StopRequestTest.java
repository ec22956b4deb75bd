package io.panatron.runtime.train;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

class StopRequestTest {
  @Test
  @Timeout(10)
  void aStopBeforeTrainingWaitsForNothingAndKeepsItFromBeginning() {
    StopRequest stop = new StopRequest();
    stop.end();
    assertThat(stop.isRequested()).isTrue();
    assertThat(stop.begin()).isFalse();
  }

  @Test
  @Timeout(10)
  void aStopDuringTrainingWaitsUntilItIsSaved() throws InterruptedException {
    StopRequest stop = new StopRequest();
    assertThat(stop.begin()).isTrue();
    Thread hook = Thread.ofPlatform().start(stop::end);
    while (!stop.isRequested()) {
      Thread.onSpinWait();
    }
    assertThat(hook.join(java.time.Duration.ofMillis(50))).as("the hook ended").isFalse();
    stop.finished();
    hook.join(TimeUnit.SECONDS.toMillis(5));
    assertThat(hook.isAlive()).isFalse();
  }
}
