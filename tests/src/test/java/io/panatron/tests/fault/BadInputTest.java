package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.cli.InProcess;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

/** Each mistake is answered by one sentence on the error stream, and leaves nothing behind. */
class BadInputTest {
  static List<BadInput> table() {
    return Stream.of(BadRows.all(), BadModels.all(), BadParameters.all(), BadTasks.all())
        .flatMap(List::stream)
        .toList();
  }

  @Test
  void theTableIsLongAndHasNoCaseTwice() {
    System.out.println("Bad inputs: " + table().size());

    assertThat(table()).hasSizeGreaterThanOrEqualTo(45);
    assertThat(table().stream().map(BadInput::name)).doesNotHaveDuplicates();
  }

  /** The call that every case changes is a good one, so that what is refused is the change. */
  @Test
  void theUnchangedCallTrains(@TempDir Path folder) {
    InProcess.Result result = BadInput.good(folder).with("train_iters", 3).run();

    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
  }

  @ParameterizedTest
  @MethodSource("table")
  void aMistakeGetsOneSentence(BadInput mistake, @TempDir Path folder) throws IOException {
    TrainingCall call = mistake.make(folder);
    boolean saveIsAFile = Files.isRegularFile(call.save());

    InProcess.Result result = call.run();

    assertThat(result.status()).as(result.err()).isEqualTo(2);
    String sentence = result.err().strip();
    assertThat(sentence.lines()).as(sentence).hasSize(1);
    assertThat(sentence).contains(mistake.phrases());
    // A class name or a trace is for a programmer, not for whoever made the mistake.
    assertThat(sentence).doesNotContainPattern("[a-z]\\.[A-Z]\\w*(Exception|Error)|\\sat \\w+\\.");
    if (!saveIsAFile) {
      assertThat(Fixture.files(call.save())).as("left in --save").isEmpty();
    }
  }
}
