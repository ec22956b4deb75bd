package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.cli.InProcess;
import io.panatron.runtime.data.HfTokenizer;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Collectors;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** A built-in template from the command line to the checkpoint, and from there to a prompt. */
class TemplateTrainingTest {
  private static final String TOOL =
      "{\"name\": \"add\", \"description\": \"Adds.\", \"parameters\": {}}";

  @TempDir Path folder;

  private Path model;

  /** The fixture's model with Llama 3's special tokens in place of ChatML's. */
  @BeforeEach
  void makeModel() throws IOException {
    model = Fixture.copyModel(folder.resolve("model"));
    Path file = model.resolve("tokenizer.json");
    String json =
        Files.readString(file)
            .replace("<|endoftext|>", "<|begin_of_text|>")
            .replace("<|im_start|>", "<|start_header_id|>")
            .replace("<|im_end|>", "<|eot_id|>");
    ObjectNode tokenizer = (ObjectNode) new ObjectMapper().readTree(json);
    ObjectNode last = tokenizer.get("added_tokens").get(2).deepCopy();
    last.put("content", "<|end_header_id|>").put("id", last.get("id").asInt() + 1);
    tokenizer.withArray("added_tokens").add(last);
    Files.writeString(file, tokenizer.toString());
    Files.writeString(
        model.resolve("tokenizer_config.json"),
        "{\"eos_token\": \"<|eot_id|>\", \"pad_token\": \"<|begin_of_text|>\"}");
  }

  private TrainingCall call(Path rows) {
    return TrainingCall.into(folder.resolve("run"))
        .with("model", model)
        .with("dataset", rows)
        .with("template", "llama3")
        .with("strict", true)
        .with("train_iters", 2)
        .with("lr_warmup_iters", 0)
        .with("save_interval", 2);
  }

  private static String message(String role, String content) {
    return "{\"role\": \"" + role + "\", \"content\": " + content + "}";
  }

  @Test
  void llama3IsTrainedWithToolsAndAskedAsItWasTrained() throws IOException {
    String row =
        "{\"tools\": [%s], \"messages\": [%s]}\n"
            .formatted(
                TOOL,
                List.of(
                        message("user", "\"1 + 2?\""),
                        message("tool_call", "{\"name\": \"add\", \"arguments\": {\"a\": 1}}"),
                        message("tool", "\"3\""),
                        message("assistant", "\"It is 3.\""))
                    .stream()
                    .collect(Collectors.joining(", ")));
    Path rows = Files.writeString(folder.resolve("rows.jsonl"), row.repeat(8));
    InProcess.Result run = call(rows).with("system", "Be brief.").run();
    assertThat(run.status()).as(run.err()).isZero();
    assertThat(run.out()).contains("template llama3 (built in)");
    Path checkpoint = folder.resolve("run/checkpoint-2");
    InProcess.Result answer =
        InProcess.run(
            List.of(
                "generate",
                "--model",
                checkpoint.toString(),
                "--prompt",
                "1 + 1?",
                "--format",
                "jsonl",
                "--max_new_tokens",
                "2"));
    assertThat(answer.status()).as(answer.err()).isZero();
    JsonNode ids = new ObjectMapper().readTree(answer.out()).get("prompt_ids");
    String expected =
        "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\nBe brief.<|eot_id|>"
            + "<|start_header_id|>user<|end_header_id|>\n\n1 + 1?<|eot_id|>"
            + "<|start_header_id|>assistant<|end_header_id|>\n\n";
    try (HfTokenizer tokenizer = HfTokenizer.open(checkpoint)) {
      assertThat(new ObjectMapper().convertValue(ids, int[].class))
          .isEqualTo(tokenizer.encode(expected));
    }
  }

  @Test
  void aTemplateThatTheTokenizerCannotWriteIsRefusedBeforeAnythingIsWritten() {
    InProcess.Result run = call(Fixture.rows()).with("template", "qwen3").run();
    assertThat(run.status()).isNotZero();
    assertThat(run.err()).contains("--template qwen3 needs the special token <|im_start|>");
    assertThat(folder.resolve("run")).doesNotExist();
  }

  @Test
  void unknownNamesAreRefusedWithThoseThatWork() {
    assertThat(call(Fixture.rows()).with("template", "lama3").run().err())
        .contains("--template lama3 is not known; use one of chatml,");
    assertThat(call(Fixture.rows()).with("agent_template", "hermes2").run().err())
        .contains("--agent_template hermes2 is not supported; use one of react_en,");
  }
}
