package io.panatron.runtime.generate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.TemplateOptions;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TrainedTemplateTest {
  private static final TemplateOptions OPEN = TemplateOptions.DEFAULT;

  @TempDir Path folder;

  private TrainedTemplate trained(String json) throws IOException {
    Files.writeString(folder.resolve("args.json"), json);
    return TrainedTemplate.of(folder);
  }

  @Test
  void aCheckpointsTemplateFillsWhatIsLeftOpen() throws IOException {
    TrainedTemplate trained =
        trained("{\"template\": \"llama3\", \"agent_template\": \"hermes\", \"system\": \"S\"}");
    assertThat(trained.system()).isEqualTo("S");
    assertThat(trained.complete(OPEN))
        .isEqualTo(OPEN.withTemplate("llama3").withAgentTemplate("hermes"));
    assertThat(trained.complete(OPEN.withAgentTemplate("react_en")))
        .isEqualTo(OPEN.withTemplate("llama3").withAgentTemplate("react_en"));
    assertThat(trained.complete(OPEN.withTemplate("qwen3"))).isEqualTo(OPEN.withTemplate("qwen3"));
    TemplateOptions plain = OPEN.withChatTemplate(false);
    assertThat(trained.complete(plain)).isEqualTo(plain);
  }

  @Test
  void aCheckpointThatNamesNoneChangesNothing() throws IOException {
    assertThat(TrainedTemplate.of(folder).complete(OPEN)).isEqualTo(OPEN);
    assertThat(trained("{\"template\": null, \"agent_template\": \"hermes\"}").complete(OPEN))
        .isEqualTo(OPEN);
  }

  @Test
  void brokenArgumentsAreAUserError() {
    assertThatThrownBy(() -> trained("{"))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("args.json cannot be read as JSON");
  }
}
