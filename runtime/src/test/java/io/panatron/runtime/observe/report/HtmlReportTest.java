package io.panatron.runtime.observe.report;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class HtmlReportTest {
  private static final Pattern DATA =
      Pattern.compile("<script type=\"application/json\" id=\"data\">(.*?)</script>");

  @TempDir Path folder;

  private Path run(String name, String... rows) throws IOException {
    Path run = Files.createDirectories(folder.resolve(name));
    Files.writeString(run.resolve("logging.jsonl"), String.join("\n", rows) + "\n");
    return run;
  }

  private String page(Path... runs) throws IOException {
    Path file = folder.resolve("out/report.html");
    HtmlReport.write(List.of(runs), file);
    return Files.readString(file);
  }

  private JsonNode data(Path... runs) throws IOException {
    Matcher data = DATA.matcher(page(runs));
    assertThat(data.find()).isTrue();
    return new ObjectMapper().readTree(data.group(1));
  }

  @Test
  void aRunsNumbersAreInThePage() throws IOException {
    Path run =
        run(
            "v0-20261124-082615",
            "{\"loss\": 2.5, \"iteration\": \"1/4\", \"elapsed_time\": \"1s\"}",
            "{\"loss\": 1.5, \"iteration\": \"4/4\", \"elapsed_time\": \"2m 3s\"}",
            "{\"eval_loss\": \"NaN\", \"iteration\": \"4/4\"}");
    Files.writeString(run.resolve("args.json"), "{\"lr\": 1e-4}");
    Files.writeString(
        run.resolve("run.json"), "{\"command\": [\"sft\", \"--system\", \"be brief\"]}");

    JsonNode one = data(run).at("/runs/0");

    assertThat(one.path("name").asText()).isEqualTo(folder.getFileName() + "/v0-20261124-082615");
    assertThat(one.at("/series/loss").toString()).isEqualTo("[[1,2.5],[4,1.5]]");
    assertThat(one.at("/series/eval_loss").toString()).isEqualTo("[[4,null]]");
    assertThat(one.path("progress").asText()).isEqualTo("4/4");
    assertThat(one.path("elapsed").asText()).isEqualTo("2m 3s");
    assertThat(one.at("/args/lr").asDouble()).isEqualTo(1e-4);
    assertThat(one.path("command").asText()).isEqualTo("./trainer sft --system 'be brief'");
  }

  @Test
  void thePageAsksNobodyForAnything() throws IOException {
    String page = page(run("a", "{\"loss\": 1, \"iteration\": \"1/1\"}"));

    assertThat(page).contains("default-src 'none'").doesNotContain("@script@", "@style@");
    assertThat(page.replace("http://www.w3.org/2000/svg", ""))
        .doesNotContain("http:", "https:", " src=", "@import", "url(");
  }

  @Test
  void textFromARunCannotBecomePartOfThePage() throws IOException {
    Path run = run("a", "{\"loss\": 1, \"iteration\": \"1/1\"}");
    Files.writeString(
        run.resolve("args.json"), "{\"system\": \"</script><script>alert(1)</script>\"}");

    assertThat(page(run)).doesNotContain("alert(1)</script>");
    assertThat(data(run).at("/runs/0/args/system").asText())
        .isEqualTo("</script><script>alert(1)</script>");
  }

  @Test
  void rowsOfAResumedRunReplaceThoseItRepeats() throws IOException {
    JsonNode one =
        data(run(
                "a",
                "{\"loss\": 9, \"iteration\": \"1/4\"}",
                "{\"loss\": 8, \"iteration\": \"2/4\"}",
                "{\"loss\": 7, \"iteration\": \"3/4\"}",
                "{\"loss\": 6, \"iter",
                "{\"loss\": 5, \"iteration\": \"2/4\"}"))
            .at("/runs/0");

    assertThat(one.at("/series/loss").toString()).isEqualTo("[[1,9.0],[2,5.0]]");
    assertThat(one.path("progress").asText()).isEqualTo("2/4");
  }

  @Test
  void runsOfOneNameAreToldApart() throws IOException {
    String row = "{\"loss\": 1, \"iteration\": \"1/1\"}";

    JsonNode runs = data(run("x/a", row), run("y/a", row)).path("runs");

    assertThat(runs.findValuesAsText("name")).containsExactly("a", "a (2)");
  }

  @Test
  void aLongCurveIsThinnedButKeepsItsEnds() throws IOException {
    String[] rows = new String[5001];
    for (int i = 0; i < rows.length; i++) {
      rows[i] = "{\"loss\": %d, \"iteration\": \"%d/5001\"}".formatted(i + 1, i + 1);
    }

    JsonNode loss = data(run("a", rows)).at("/runs/0/series/loss");

    assertThat(loss.size()).isBetween(1000, 2001);
    assertThat(loss.get(0).get(0).asInt()).isEqualTo(1);
    assertThat(loss.get(loss.size() - 1).get(0).asInt()).isEqualTo(5001);
  }

  @Test
  void whatIsNoRunIsNamed() throws IOException {
    assertThatThrownBy(() -> page(folder))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(folder + " is no run folder: it has no logging.jsonl; give a folder");
    Path empty = run("empty");
    assertThatThrownBy(() -> page(empty))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("logging.jsonl has no row yet; wait until");
    Path other = run("other", "{\"loss\": 1, \"iteration\": \"1/1\"}", "{\"loss\": 1}");
    assertThatThrownBy(() -> page(other))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("logging.jsonl:2 is no log row (it has no iteration)");
    Path foreign = run("foreign", "{\"loss\": 1, \"iteration\": \"1/1\"}");
    Files.write(foreign.resolve("logging.jsonl"), new byte[] {(byte) 0xff, '\n'});
    assertThatThrownBy(() -> page(foreign))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("logging.jsonl is not UTF-8 text; remove the lines");
    Path broken = run("broken", "{\"loss\": 1, \"iteration\": \"1/1\"}");
    Files.writeString(broken.resolve("args.json"), "{");
    assertThatThrownBy(() -> page(broken))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("args.json is no JSON");
  }
}
