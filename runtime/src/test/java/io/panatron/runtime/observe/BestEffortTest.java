package io.panatron.runtime.observe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class BestEffortTest {
  private final List<String> said = new ArrayList<>();
  private final List<String> done = new ArrayList<>();
  private final BestEffort effort = new BestEffort("Plots are no longer drawn", said::add);

  @Test
  void aFailureIsSaidOnceAndNothingIsTriedAgain() {
    effort.run(() -> done.add("first"));
    effort.run(() -> {
      throw new IOException("No space left on device");
    });
    effort.run(() -> done.add("third"));

    assertThat(done).containsExactly("first");
    assertThat(said)
        .containsExactly(
            "Plots are no longer drawn (IOException: No space left on device); the run goes on.");
  }

  @Test
  void aDisplayThatCannotBeHadIsAFailureToo() {
    effort.run(() -> {
      throw new java.awt.AWTError("no display");
    });

    assertThat(said).singleElement().asString().contains("AWTError: no display");
  }

  @Test
  void anOtherErrorIsNobodysEffort() {
    assertThatThrownBy(() ->
            effort.run(() -> {
              throw new AssertionError("wrong");
            }))
        .isInstanceOf(AssertionError.class);
    assertThat(said).isEmpty();
  }

  @Test
  void aJavaWithoutAPartIsAFailureToo() {
    effort.run(() -> {
      throw new NoClassDefFoundError("java/awt/Font");
    });

    assertThat(said).singleElement().asString().contains("java/awt/Font");
  }
}
