package io.panatron.runtime.observe.tracker;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.time.Instant;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * An experiment on a SwanLab server: log in with the key, make the project and the experiment,
 * declare each series once, add numbers.
 *
 * <p>Source: github.com/SwanHubX/SwanLab 0.9.0, swanlab/sdk/internal/pkg/client and
 * swanlab/sdk/internal/core_python/api (project, experiment, upload).
 */
final class SwanlabTracker implements Tracker {
  static final String PUBLIC_SERVER = "https://api.swanlab.cn";

  /** The client whose requests these are; the server asks for it. */
  private static final String CLIENT_VERSION = "0.9.0";

  private static final String COLOR = "#528d59";

  private final JsonHttp http;
  private final String apiKey;
  private final TrackerRun run;
  private final Set<String> declared = new LinkedHashSet<>();
  private String user = "";
  private String projectId = "";
  private String experimentId = "";

  SwanlabTracker(JsonHttp http, String apiKey, TrackerRun run) {
    this.http = http;
    this.apiKey = apiKey;
    this.run = run;
    http.header("X-SwanLab-SDK-Version", CLIENT_VERSION);
  }

  @Override
  public String open() throws IOException, InterruptedException {
    http.header("Authorization", apiKey);
    JsonNode login = http.post("/api/login/api_key", JsonHttp.JSON.createObjectNode());
    http.removeHeader("Authorization");
    http.header("Cookie", "sid=" + required(login, "/sid"));
    user = run.workspace() == null ? required(login, "/userInfo/username") : run.workspace();

    ObjectNode project = JsonHttp.JSON.createObjectNode();
    project.put("name", run.project());
    project.put("visibility", "PRIVATE");
    http.post("/api/projects/" + JsonHttp.part(user), project);
    projectId = required(http.get(projectPath()), "/cuid");

    ObjectNode experiment = JsonHttp.JSON.createObjectNode();
    experiment.put("name", run.name());
    experiment.put("createdAt", Instant.now().toString());
    experiment.putArray("colors").add(COLOR).add(COLOR);
    experimentId = required(http.post(projectPath() + "/experiment", experiment), "/cuid");

    ObjectNode profile = JsonHttp.JSON.createObjectNode();
    ObjectNode config = profile.putObject("config");
    int place = 0;
    for (Map.Entry<String, JsonNode> parameter : run.config().properties()) {
      ObjectNode entry = config.putObject(parameter.getKey());
      entry.set("value", parameter.getValue());
      entry.put("desc", "");
      entry.put("sort", place++);
    }
    http.put(runPath() + "/profile", profile);
    String site = http.base().equals(PUBLIC_SERVER) ? "https://swanlab.cn" : http.base();
    return site
        + "/@"
        + JsonHttp.part(user)
        + "/"
        + JsonHttp.part(run.project())
        + "/runs/"
        + experimentId;
  }

  private String projectPath() {
    return "/api/project/" + JsonHttp.part(user) + "/" + JsonHttp.part(run.project());
  }

  private String runPath() {
    return projectPath() + "/runs/" + JsonHttp.part(experimentId);
  }

  private String required(JsonNode answer, String pointer) throws RefusedException {
    String text = answer.at(pointer).asText();
    if (text.isEmpty()) {
      throw new RefusedException(http.base() + " gave an answer without " + pointer.substring(1));
    }
    return text;
  }

  @Override
  public void send(List<TrackerRow> rows) throws IOException, InterruptedException {
    declareNewSeries(rows);
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    request.put("projectId", projectId);
    request.put("experimentId", experimentId);
    request.put("type", "scalar");
    ArrayNode metrics = request.putArray("metrics");
    for (TrackerRow row : rows) {
      row.values()
          .forEach((key, value) -> {
            ObjectNode metric = metrics.addObject();
            metric.put("key", key);
            metric.put("index", row.iteration());
            if (Double.isFinite(value)) {
              metric.put("data", value);
            } else {
              metric.put("data", "nan");
            }
            metric.put("create_time", row.time().toString());
          });
    }
    http.post("/api/house/metrics", request);
  }

  private void declareNewSeries(List<TrackerRow> rows) throws IOException, InterruptedException {
    List<String> keys =
        rows.stream()
            .flatMap(row -> row.values().keySet().stream())
            .distinct()
            .filter(key -> !declared.contains(key))
            .toList();
    if (keys.isEmpty()) {
      return;
    }
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    ArrayNode series = request.putArray("series");
    for (String key : keys) {
      series.addObject().put("key", key).put("type", "FLOAT");
    }
    http.post(
        "/api/projects/" + JsonHttp.part(user) + "/" + JsonHttp.part(run.project()) + "/series",
        request);
    declared.addAll(keys);
  }

  @Override
  public void heartbeat() throws IOException, InterruptedException {
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    request.put("flagId", "123456");
    http.post("/api/house/experiments/" + JsonHttp.part(experimentId) + "/heartbeat", request);
  }

  @Override
  public void finish(boolean succeeded) throws IOException, InterruptedException {
    ObjectNode request = JsonHttp.JSON.createObjectNode();
    request.put("state", succeeded ? "FINISHED" : "CRASHED");
    request.put("finishedAt", Instant.now().toString());
    request.put("from", "sdk");
    http.put(runPath() + "/state", request);
  }

  @Override
  public void close() {
    http.close();
  }
}
