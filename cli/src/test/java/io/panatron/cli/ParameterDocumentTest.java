package io.panatron.cli;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.config.Parameter;
import io.panatron.runtime.config.ParameterTable;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.Test;

class ParameterDocumentTest {
  private static final Set<String> OWN_SCOPES = Set.of("panatron", "pt", "sft");

  private static String printed(String... args) {
    StringWriter out = new StringWriter();
    StringWriter err = new StringWriter();
    int status = Main.run(args, new PrintWriter(out), new PrintWriter(err));
    assertThat(err.toString()).isEmpty();
    assertThat(status).isZero();
    return out.toString();
  }

  @Test
  void theTableHasTheDocumentedParametersWithTheirDefaultsAndChoicesAndNoOthers()
      throws IOException {
    Set<String> documented = new TreeSet<>();
    try (InputStream resource = getClass().getResourceAsStream("/spec-parameters.tsv")) {
      String text =
          new String(Objects.requireNonNull(resource).readAllBytes(), StandardCharsets.UTF_8);
      text.lines().skip(1).forEach(documented::add);
    }
    Set<String> declared = new TreeSet<>();
    for (Parameter p : ParameterTable.load().all()) {
      if (!OWN_SCOPES.contains(p.scope())) {
        declared.add(
            String.join(
                "\t",
                p.name(),
                p.scope(),
                p.type().label(),
                p.defaultText(),
                String.join(",", p.choices())));
      }
    }
    assertThat(documented).hasSize(353);
    assertThat(declared).isEqualTo(documented);
  }

  @Test
  void thePageOfParametersIsCurrent() throws IOException {
    Path page = Path.of("..", "docs", "parameters.md");
    assertThat(Files.readString(page))
        .as("run: trainer parameters --format markdown > docs/parameters.md")
        .isEqualTo(printed("parameters", "--format", "markdown"));
  }

  @Test
  void tsvHasSixColumnsAndOneRowPerParameter() {
    List<String> lines = printed("parameters", "--format", "tsv").lines().toList();
    assertThat(lines.getFirst()).isEqualTo("name\tscope\ttype\tdefault\tchoices\tstate");
    assertThat(lines).hasSize(ParameterTable.load().all().size() + 1);
    assertThat(lines).allMatch(line -> line.split("\t", -1).length == 6);
    assertThat(lines).contains("optimizer\tmegatron\tenum\tadam\tadam,sgd\tsupported");
  }

  @Test
  void oneCommandsParametersHaveItsDefaults() {
    assertThat(printed("parameters", "--command", "pt"))
        .contains("use_chat_template\tpt\tbool\tFalse\t\tsupported\n");
    assertThat(printed("parameters", "--command", "rlhf:grpo"))
        .contains("beta\tgrpo\tfloat\t0.04\t");
    assertThat(printed("parameters", "--command", "sft")).doesNotContain("\nbeta\t");
  }
}
