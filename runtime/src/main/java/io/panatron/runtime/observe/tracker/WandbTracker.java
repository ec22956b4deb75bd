package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.List;
import java.util.Locale;
import java.util.SplittableRandom;

/**
 * A run on a Weights &amp; Biases server: made by the GraphQL mutation {@code upsertBucket}, fed
 * through the file stream, where each row is a line of {@code wandb-history.jsonl} at its offset.
 *
 * <p>Source: github.com/wandb/wandb, core/api/graphql/mutation_run.graphql,
 * core/internal/filestream (FileStreamRequestJSON) and core/internal/api/credentials.go.
 */
final class WandbTracker implements Tracker {
  static final String PUBLIC_SERVER = "https://api.wandb.ai";
  private static final String UPSERT =
      """
      mutation UpsertBucket($name: String, $project: String, $entity: String, $displayName: String,
          $config: JSONString, $host: String) {
        upsertBucket(input: {name: $name, modelName: $project, entityName: $entity,
            displayName: $displayName, config: $config, host: $host}) {
          bucket { name project { name entity { name } } }
        }
      }
      """;

  private final JsonHttp http;
  private final TrackerRun run;
  private final Instant started = Instant.now();
  private final ObjectNode summary = JsonHttp.JSON.createObjectNode();
  private String stream = "";
  private int sentLines;

  WandbTracker(JsonHttp http, String apiKey, TrackerRun run) {
    this.http = http;
    this.run = run;
    byte[] credentials = ("api:" + apiKey).getBytes(StandardCharsets.UTF_8);
    http.header("Authorization", "Basic " + Base64.getEncoder().encodeToString(credentials));
  }

  @Override
  public String open() throws IOException, InterruptedException {
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    request.put("query", UPSERT);
    ObjectNode variables = request.putObject("variables");
    variables.put("name", newRunId());
    variables.put("project", run.project());
    if (run.workspace() != null) {
      variables.put("entity", run.workspace());
    }
    variables.put("displayName", run.name());
    variables.put("host", run.host());
    ObjectNode config = JsonHttp.JSON.createObjectNode();
    run.config().properties().forEach(e -> config.putObject(e.getKey()).set("value", e.getValue()));
    variables.put("config", config.toString());
    JsonNode answer = http.post("/graphql", request);
    JsonNode bucket = answer.at("/data/upsertBucket/bucket");
    String name = bucket.path("name").asText();
    String project = bucket.at("/project/name").asText();
    String entity = bucket.at("/project/entity/name").asText();
    if (name.isEmpty() || project.isEmpty() || entity.isEmpty()) {
      throw new RefusedException(
          http.base()
              + " made no run: "
              + answer.at("/errors/0/message").asText("it gives no reason"));
    }
    String place = JsonHttp.part(entity) + "/" + JsonHttp.part(project) + "/";
    stream = "/files/" + place + JsonHttp.part(name) + "/file_stream";
    String site = http.base().equals(PUBLIC_SERVER) ? "https://wandb.ai" : http.base();
    return site + "/" + place + "runs/" + JsonHttp.part(name);
  }

  /** Eight of the letters and digits that the server takes in an address. */
  private static String newRunId() {
    SplittableRandom random = new SplittableRandom();
    StringBuilder id = new StringBuilder();
    for (int i = 0; i < 8; i++) {
      id.append(Character.forDigit(random.nextInt(Character.MAX_RADIX), Character.MAX_RADIX));
    }
    return id.toString().toLowerCase(Locale.ROOT);
  }

  @Override
  public void send(List<TrackerRow> rows) throws IOException, InterruptedException {
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    ObjectNode files = request.putObject("files");
    ArrayNode lines = chunk(files, "wandb-history.jsonl", sentLines);
    for (TrackerRow row : rows) {
      ObjectNode line = JsonHttp.JSON.createObjectNode();
      row.values().forEach((key, value) -> putNumber(line, key, value));
      line.put("_step", row.iteration());
      line.put("_timestamp", row.time().toEpochMilli() * 1e-3);
      line.put("_runtime", (row.time().toEpochMilli() - started.toEpochMilli()) * 1e-3);
      summary.setAll(line);
      lines.add(line.toString());
    }
    chunk(files, "wandb-summary.json", 0).add(summary.toString());
    http.post(stream, request);
    sentLines += rows.size();
  }

  private static ArrayNode chunk(ObjectNode files, String name, int offset) {
    ObjectNode chunk = files.putObject(name);
    chunk.put("offset", offset);
    return chunk.putArray("content");
  }

  /** JSON has no number for what is none; the server knows the words. */
  private static void putNumber(ObjectNode line, String key, double value) {
    if (Double.isFinite(value)) {
      line.put(key, value);
    } else {
      line.put(key, Double.toString(value));
    }
  }

  @Override
  public void heartbeat() throws IOException, InterruptedException {
    http.post(stream, JsonHttp.JSON.createObjectNode());
  }

  @Override
  public void finish(boolean succeeded) throws IOException, InterruptedException {
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    request.put("complete", true);
    request.put("exitcode", succeeded ? 0 : 1);
    http.post(stream, request);
  }

  @Override
  public void close() {
    http.close();
  }
}
