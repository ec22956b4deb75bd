package io.panatron.runtime.observe.tracker;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.observe.tracker.RecordingServer.Answer;
import io.panatron.runtime.observe.tracker.RecordingServer.Request;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import org.junit.jupiter.api.Test;

/** What the trackers' servers get. */
class TrackersTest {
  private static final Instant TIME = Instant.parse("2026-11-24T08:00:00.500Z");

  private static TrackerRow row(long iteration, double loss) {
    return new TrackerRow(iteration, TIME, Map.of("train/loss", loss));
  }

  private static Tracker tracker(String service, JsonHttp http) throws IOException {
    String prefix = service.toUpperCase(java.util.Locale.ROOT);
    return TrackerAccount.of(service, Map.of(prefix + "_API_KEY", "secret"))
        .tracker(http, "my project", "out/v0", "host1", JsonHttp.JSON.readTree("{\"lr\": 0.1}"));
  }

  private static Answer swanlab(String call) {
    return switch (call) {
      case "POST /api/login/api_key" ->
          new Answer(200, "{\"sid\": \"s1\", \"userInfo\": {\"username\": \"ann\"}}");
      case "GET /api/project/ann/my%20project" -> new Answer(200, "{\"cuid\": \"p1\"}");
      case "POST /api/project/ann/my%20project/experiment" -> new Answer(201, "{\"cuid\": \"e1\"}");
      default -> new Answer(200, "");
    };
  }

  @Test
  void wandbGetsARunThenLinesAtTheirOffsetsThenItsEnd() throws Exception {
    try (RecordingServer server = RecordingServer.start(RecordingServer::wandb);
        JsonHttp http = new JsonHttp(server.address() + "/")) {
      Tracker wandb = tracker("wandb", http);

      assertThat(wandb.open()).isEqualTo(server.address() + "/team/my%20project/runs/run1");
      wandb.send(List.of(row(1, 2.5), row(2, Double.NaN)));
      wandb.send(List.of(row(3, 1.5)));
      wandb.heartbeat();
      wandb.finish(true);

      String stream = "POST /files/team/my%20project/run1/file_stream";
      assertThat(server.calls()).containsExactly("POST /graphql", stream, stream, stream, stream);
      List<Request> requests = server.requests();
      assertThat(requests)
          .allSatisfy(request ->
              assertThat(decoded(request.headers().get("authorization"))).isEqualTo("api:secret"));
      JsonNode variables = requests.get(0).body().path("variables");
      assertThat(requests.get(0).body().path("query").asText()).contains("upsertBucket(input:");
      assertThat(variables.path("name").asText()).matches("[0-9a-z]{8}");
      assertThat(variables.path("project").asText()).isEqualTo("my project");
      assertThat(variables.path("displayName").asText()).isEqualTo("out/v0");
      assertThat(variables.path("config").asText()).isEqualTo("{\"lr\":{\"value\":0.1}}");
      JsonNode first = requests.get(1).body().at("/files/wandb-history.jsonl");
      assertThat(first.path("offset").asInt()).isZero();
      assertThat(first.path("content").size()).isEqualTo(2);
      JsonNode line = JsonHttp.JSON.readTree(first.path("content").get(0).asText());
      assertThat(line.path("train/loss").asDouble()).isEqualTo(2.5);
      assertThat(line.path("_step").asLong()).isEqualTo(1);
      assertThat(line.path("_timestamp").asDouble()).isEqualTo(TIME.toEpochMilli() / 1000.0);
      assertThat(first.path("content").get(1).asText()).contains("\"train/loss\":\"NaN\"");
      JsonNode second = requests.get(2).body().path("files");
      assertThat(second.at("/wandb-history.jsonl/offset").asInt()).isEqualTo(2);
      assertThat(second.at("/wandb-summary.json/content/0").asText())
          .contains("\"train/loss\":1.5", "\"_step\":3");
      assertThat(requests.get(3).body().toString()).isEqualTo("{}");
      assertThat(requests.get(4).body().toString()).isEqualTo("{\"complete\":true,\"exitcode\":0}");
    }
  }

  @Test
  void swanlabGetsAnExperimentThenSeriesAndNumbersThenItsEnd() throws Exception {
    try (RecordingServer server = RecordingServer.start(TrackersTest::swanlab);
        JsonHttp http = new JsonHttp(server.address())) {
      Tracker swanlab = tracker("swanlab", http);

      assertThat(swanlab.open()).isEqualTo(server.address() + "/@ann/my%20project/runs/e1");
      swanlab.send(List.of(row(1, 2.5), row(2, Double.NaN)));
      swanlab.send(List.of(row(3, 1.5)));
      swanlab.heartbeat();
      swanlab.finish(false);

      assertThat(server.calls())
          .containsExactly(
              "POST /api/login/api_key",
              "POST /api/projects/ann",
              "GET /api/project/ann/my%20project",
              "POST /api/project/ann/my%20project/experiment",
              "PUT /api/project/ann/my%20project/runs/e1/profile",
              "POST /api/projects/ann/my%20project/series",
              "POST /api/house/metrics",
              "POST /api/house/metrics",
              "POST /api/house/experiments/e1/heartbeat",
              "PUT /api/project/ann/my%20project/runs/e1/state");
      List<Request> requests = server.requests();
      assertThat(requests.get(0).headers()).containsEntry("authorization", "secret");
      assertThat(requests.subList(1, requests.size()))
          .allSatisfy(request ->
              assertThat(request.headers())
                  .containsEntry("cookie", "sid=s1")
                  .doesNotContainKey("authorization"));
      assertThat(requests.get(4).body().toString())
          .isEqualTo("{\"config\":{\"lr\":{\"value\":0.1,\"desc\":\"\",\"sort\":0}}}");
      assertThat(requests.get(5).body().toString())
          .isEqualTo("{\"series\":[{\"key\":\"train/loss\",\"type\":\"FLOAT\"}]}");
      assertThat(requests.get(6).body().toString())
          .isEqualTo(
              "{\"projectId\":\"p1\",\"experimentId\":\"e1\",\"type\":\"scalar\",\"metrics\":["
                  + "{\"key\":\"train/loss\",\"index\":1,\"data\":2.5,\"create_time\":\"2026-11-24T08:00:00.500Z\"},"
                  + "{\"key\":\"train/loss\",\"index\":2,\"data\":\"nan\",\"create_time\":\"2026-11-24T08:00:00.500Z\"}]}");
      assertThat(requests.get(9).body().path("state").asText()).isEqualTo("CRASHED");
    }
  }

  @Test
  void aServerThatDoesNotWantTheRunIsNotAskedAgain() throws Exception {
    assertRefused(
        "wandb",
        call -> new Answer(401, "{\"errors\": [\"invalid  key\"]}"),
        "/graphql answers 401: {\"errors\": [\"invalid key\"]}");
    assertRefused(
        "wandb",
        call -> new Answer(200, "{\"errors\": [{\"message\": \"permission denied\"}]}"),
        "made no run: permission denied");
    assertRefused("swanlab", call -> new Answer(200, "<html>"), "an answer without sid");
  }

  @Test
  void aServerInTroubleMayBeAskedAgain() throws Exception {
    for (int status : new int[] {429, 500, 503}) {
      try (RecordingServer server = RecordingServer.start(call -> new Answer(status, ""));
          JsonHttp http = new JsonHttp(server.address())) {
        assertThatThrownBy(() -> tracker("wandb", http).open())
            .isInstanceOf(IOException.class)
            .isNotInstanceOf(RefusedException.class);
      }
    }
  }

  private static void assertRefused(
      String service, Function<String, Answer> answers, String message) throws Exception {
    try (RecordingServer server = RecordingServer.start(answers);
        JsonHttp http = new JsonHttp(server.address())) {
      assertThatThrownBy(() -> tracker(service, http).open())
          .isInstanceOf(RefusedException.class)
          .hasMessageContaining(message);
    }
  }

  @Test
  void rowsAreNamedAsInTensorBoard() {
    Map<String, Object> row = new LinkedHashMap<>();
    row.put("loss", 2.5);
    row.put("iteration", "1/8");
    row.put("train_speed(s/it)", 0.5);
    assertThat(TrackerRow.of(1, TIME, row).values())
        .isEqualTo(Map.of("train/loss", 2.5, "train/train_speed(s_it)", 0.5));
    assertThat(TrackerRow.of(1, TIME, Map.of("eval_loss", 2.5, "eval_tokens", 7L)).values())
        .isEqualTo(Map.of("eval/loss", 2.5, "eval/tokens", 7.0));
  }

  @Test
  void theAccountComesFromTheEnvironment() {
    TrackerAccount account =
        TrackerAccount.of(
            "swanlab",
            Map.of(
                "SWANLAB_API_KEY", " secret ",
                "SWANLAB_API_HOST", "http://tracker",
                "SWANLAB_WORKSPACE", "team",
                "SWANLAB_MODE", "cloud"));
    assertThat(account.apiKey()).isEqualTo("secret");
    assertThat(account.server()).isEqualTo("http://tracker");
    assertThat(account.workspace()).isEqualTo("team");
    assertThat(account.toString()).doesNotContain("secret");
    assertThat(TrackerAccount.of("wandb", Map.of("WANDB_API_KEY", "k")).server())
        .isEqualTo("https://api.wandb.ai");
  }

  @Test
  void whatIsMissingIsNamed() {
    assertThatThrownBy(() -> TrackerAccount.of("wandb", Map.of()))
        .isInstanceOf(UserError.class)
        .hasMessage(
            "--report_to wandb needs your account's API key; set the environment variable"
                + " WANDB_API_KEY, or leave --report_to out.");
    assertThatThrownBy(
            () -> TrackerAccount.of("wandb", Map.of("WANDB_API_KEY", "k", "WANDB_MODE", "offline")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("WANDB_MODE=offline is not supported");
  }

  @Test
  void aKeyThatNoHeaderCanCarryIsRefusedWithoutBeingShown() {
    assertThatThrownBy(() -> TrackerAccount.of("swanlab", Map.of("SWANLAB_API_KEY", "se\ncret")))
        .isInstanceOf(UserError.class)
        .hasMessageContaining("SWANLAB_API_KEY holds characters that no API key has")
        .hasMessageNotContaining("cret");
  }

  @Test
  void aServerIsAnAddressOrThePublicOne() {
    for (String wrong : List.of("api.wandb.ai", "localhost:8080", "ftp://a", "http://a b")) {
      assertThatThrownBy(() ->
              TrackerAccount.of("wandb", Map.of("WANDB_API_KEY", "k", "WANDB_BASE_URL", wrong)))
          .isInstanceOf(UserError.class)
          .hasMessage(
              "WANDB_BASE_URL is '%s', which is no address of a server; write it like"
                  + " https://api.wandb.ai, or unset it.",
              wrong);
    }
    assertThat(
            TrackerAccount.of("wandb", Map.of("WANDB_API_KEY", "k", "WANDB_BASE_URL", "")).server())
        .isEqualTo("https://api.wandb.ai");
  }

  private static String decoded(String authorization) {
    assertThat(authorization).startsWith("Basic ");
    return new String(
        Base64.getDecoder().decode(authorization.substring("Basic ".length())),
        StandardCharsets.UTF_8);
  }
}
