package io.panatron.runtime.hub;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Names of the hub against a server that answers as the hub does, or does not. */
class HubTest {
  private static final String MODEL = "models/org/tiny";
  private static final String WEIGHTS = "model.safetensors";
  private static final byte[] BYTES = bytes(300_000);
  private static final HubSettings.Patience SHORT =
      new HubSettings.Patience(
          Duration.ofSeconds(5),
          Duration.ofSeconds(5),
          Duration.ofSeconds(1),
          4,
          Duration.ofMillis(5));

  @TempDir Path folder;
  private final StringWriter said = new StringWriter();
  private final Map<String, String> environment = new HashMap<>();
  private final FakeHub server =
      new FakeHub()
          .with(MODEL, "config.json", "{\"model_type\": \"qwen3\"}")
          .with(MODEL, "tokenizer.json", "{}")
          .with(MODEL, "README.md", "# Tiny")
          .with(MODEL, "run_me.py", "print('no')")
          .with(MODEL, "pytorch_model.bin", "pickled")
          .with(MODEL, "onnx/model.onnx", "graph")
          .with(MODEL, WEIGHTS, BYTES);

  @AfterEach
  void closeServer() {
    server.close();
  }

  private static byte[] bytes(int count) {
    byte[] bytes = new byte[count];
    new Random(7).nextBytes(bytes);
    return bytes;
  }

  private HubNames names(@Nullable String revision) {
    return names(revision, null, true);
  }

  private HubNames names(@Nullable String revision, @Nullable String token, boolean usesHub) {
    environment.putIfAbsent("HF_HOME", folder.resolve("cache").toString());
    environment.putIfAbsent("HF_ENDPOINT", server.endpoint());
    return new HubNames(
        usesHub, revision, token, environment, new PrintWriter(said), () -> false, SHORT);
  }

  private Path cache() {
    return folder.resolve("cache/hub/models--org--tiny");
  }

  private static List<String> in(Path folder) throws IOException {
    try (Stream<Path> all = Files.walk(folder)) {
      return all.filter(Files::isRegularFile)
          .map(f -> folder.relativize(f).toString())
          .sorted()
          .toList();
    }
  }

  @Test
  void aModelLiesInTheCacheAsThePythonClientLaysItOut() throws IOException {
    Path model = names(null).model("model", "org/tiny");

    assertThat(model).isEqualTo(cache().resolve("snapshots/" + FakeHub.COMMIT));
    assertThat(in(model)).containsExactly("config.json", WEIGHTS, "tokenizer.json");
    assertThat(model.resolve(WEIGHTS)).hasBinaryContent(BYTES);
    String etag = FakeHub.etag(WEIGHTS, BYTES);
    assertThat(Files.readSymbolicLink(model.resolve(WEIGHTS)))
        .isEqualTo(Path.of("../../blobs/" + etag));
    assertThat(cache().resolve("blobs/" + etag)).hasBinaryContent(BYTES);
    assertThat(cache().resolve("refs/main")).hasContent(FakeHub.COMMIT);
    assertThat(in(cache().resolve("blobs"))).hasSize(3);
    assertThat(said.toString()).contains("Hub", "org/tiny", "commit " + FakeHub.COMMIT);
  }

  @Test
  void aSecondStartFetchesNothingAgain() {
    names(null).model("model", "org/tiny");
    names(null).model("model", "org/tiny");

    assertThat(server.requests("config.json")).isEqualTo(1);
    assertThat(server.requests("/revision/main")).isEqualTo(2);
  }

  @Test
  void aCommitInTheCacheNeedsNoServer() {
    names(FakeHub.COMMIT).model("model", "org/tiny");
    int before = server.seen.size();

    names(FakeHub.COMMIT).model("model", "org/tiny");

    assertThat(server.seen).hasSize(before);
  }

  @Test
  void offlineTheCacheAloneIsAsked() {
    Path model = names(null).model("model", "org/tiny");
    int before = server.seen.size();
    environment.put("HF_HUB_OFFLINE", "1");

    assertThat(names(null).model("model", "org/tiny")).isEqualTo(model);
    assertThatThrownBy(() -> names(null).model("model", "org/other"))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("org/other", "not in the hub's cache", "HF_HUB_OFFLINE");
    assertThat(server.seen).hasSize(before);
  }

  @Test
  void aHubThatIsGoneLeavesTheCacheWithANote() {
    Path model = names(null).model("model", "org/tiny");
    environment.put("HF_ENDPOINT", "http://localhost:1");

    assertThat(names(null).model("model", "org/tiny")).isEqualTo(model);
    assertThat(said.toString()).contains("Note: http://localhost:1 cannot be reached, in 4 tries");
    assertThatThrownBy(() -> names(null).model("model", "org/other"))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("org/other cannot be fetched", "no connection");
  }

  @Test
  void whatBrokeOffGoesOnWhereItEnded() {
    server.fail(WEIGHTS, FakeHub.Fault.CUT, FakeHub.Fault.CUT);

    Path model = names(null).model("model", "org/tiny");

    assertThat(model.resolve(WEIGHTS)).hasBinaryContent(BYTES);
    List<String> ranges =
        server.seen.stream()
            .filter(s -> !s.hub() && s.path().endsWith(WEIGHTS))
            .map(FakeHub.Seen::range)
            .toList();
    assertThat(ranges).containsExactly("", "bytes=150000-", "bytes=225000-");
  }

  @Test
  void aLaterRunGoesOnWithWhatAnEarlierLeft() throws IOException {
    names(null).model("model", "org/tiny");
    String etag = FakeHub.etag(WEIGHTS, BYTES);
    Files.delete(cache().resolve("snapshots/" + FakeHub.COMMIT + "/" + WEIGHTS));
    Files.delete(cache().resolve("blobs/" + etag));
    Path part = cache().resolve("blobs/" + etag + ".panatron.incomplete");
    Files.write(part, java.util.Arrays.copyOf(BYTES, 200_000));

    Path model = names(null).model("model", "org/tiny");

    assertThat(model.resolve(WEIGHTS)).hasBinaryContent(BYTES);
    assertThat(server.seen).anyMatch(s -> s.range().equals("bytes=200000-"));
    assertThat(part).doesNotExist();
  }

  @Test
  void aPartThatIsTooLongBeginsAnew() throws IOException {
    String etag = FakeHub.etag(WEIGHTS, BYTES);
    Path part = cache().resolve("blobs/" + etag + ".panatron.incomplete");
    Files.createDirectories(part.getParent());
    Files.write(part, bytes(400_000));

    assertThat(names(null).model("model", "org/tiny").resolve(WEIGHTS)).hasBinaryContent(BYTES);
  }

  /** Without a size from the hub the server itself says that a range lies behind the end. */
  @Test
  void aRangeBehindTheEndBeginsAnew() throws IOException {
    server.bareDescriptions = true;
    String etag =
        FakeHub.etag("config.json", "{\"model_type\": \"qwen3\"}".getBytes(StandardCharsets.UTF_8));
    Path part = cache().resolve("blobs/" + etag + ".panatron.incomplete");
    Files.createDirectories(part.getParent());
    Files.write(part, bytes(4000));

    Path model = names(null).model("model", "org/tiny");

    assertThat(model.resolve("config.json")).hasContent("{\"model_type\": \"qwen3\"}");
    assertThat(model.resolve(WEIGHTS)).hasBinaryContent(BYTES);
  }

  @Test
  void aServerWithoutRangesSendsAllAgain() {
    server.fail(WEIGHTS, FakeHub.Fault.CUT, FakeHub.Fault.NO_RANGES);

    assertThat(names(null).model("model", "org/tiny").resolve(WEIGHTS)).hasBinaryContent(BYTES);
  }

  @Test
  void wrongBytesAreFetchedOnceMoreAndThenRefused() throws IOException {
    server.fail(WEIGHTS, FakeHub.Fault.WRONG_BYTES);
    assertThat(names(null).model("model", "org/tiny").resolve(WEIGHTS)).hasBinaryContent(BYTES);

    environment.put("HF_HOME", folder.resolve("second").toString());
    server.fail(WEIGHTS, FakeHub.Fault.WRONG_BYTES, FakeHub.Fault.WRONG_BYTES);
    assertThatThrownBy(() -> names(null).model("model", "org/tiny"))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll(WEIGHTS, "org/tiny", "checksum");
    Path second = folder.resolve("second/hub/models--org--tiny");
    assertThat(in(second.resolve("snapshots"))).noneMatch(f -> f.endsWith(WEIGHTS));
    assertThat(in(second.resolve("blobs")))
        .noneMatch(f -> f.startsWith(FakeHub.etag(WEIGHTS, BYTES)));
  }

  @Test
  void aSilentServerIsGivenUpAndAskedAgain() {
    server.fail(WEIGHTS, FakeHub.Fault.STALL);

    assertThat(names(null).model("model", "org/tiny").resolve(WEIGHTS)).hasBinaryContent(BYTES);
  }

  @Test
  void aBusyServerIsAskedAgainForABoundedTime() {
    server.fail("config.json", FakeHub.Fault.BUSY, FakeHub.Fault.BUSY);
    names(null).model("model", "org/tiny");

    environment.put("HF_HOME", folder.resolve("second").toString());
    FakeHub.Fault busy = FakeHub.Fault.BUSY;
    server.fail("config.json", busy, busy, busy, busy, busy);
    assertThatThrownBy(() -> names(null).model("model", "org/tiny"))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("org/tiny cannot be fetched", "503 after 4 tries");
  }

  @Test
  void theTokenGoesToTheHubAlone() {
    server.gates.put(MODEL, "hf_secret");

    names(null, "hf_secret", true).model("model", "org/tiny");

    assertThat(server.seen.stream().filter(FakeHub.Seen::hub).map(FakeHub.Seen::token))
        .containsOnly("Bearer hf_secret");
    assertThat(server.seen.stream().filter(s -> !s.hub()).map(FakeHub.Seen::token))
        .isNotEmpty()
        .containsOnly("");
    assertThat(said.toString()).doesNotContain("hf_secret");
  }

  @Test
  void theTokenComesFromTheVariableOrTheStoredFile() throws IOException {
    server.gates.put(MODEL, "hf_secret");
    Files.createDirectories(folder.resolve("cache"));
    Files.writeString(folder.resolve("cache/token"), "hf_secret\n");
    names(null).model("model", "org/tiny");

    environment.put("HF_HOME", folder.resolve("second").toString());
    environment.put("HF_TOKEN", "hf_secret");
    names(null).model("model", "org/tiny");
  }

  @Test
  void whatTheHubRefusesIsOneSentence() {
    server.gates.put(MODEL, "hf_secret");
    refused(names(null), "org/tiny", "gated", "conditions", "--hub_token");
    refused(names(null, "hf_wrong", true), "org/tiny", "gated", "account that may read it");
    refused(names(null), "org/none", "does not exist or is private", "--hub_token");
    refused(names(null, "hf_wrong", true), "org/none", "is not on the hub");
    server.gates.clear();
    refused(names("v9"), "org/tiny", "no revision v9", "--model_revision");
    server
        .with("models/org/bin", "config.json", "{}")
        .with("models/org/bin", "pytorch_model.bin", "x");
    refused(names(null), "org/bin", "pytorch_model.bin", "can run code");
    server.with("models/org/none-such", "data.txt", "x");
    refused(names(null), "org/none-such", "no config.json");
    server.with("models/org/evil", "../../evil.json", "{}");
    refused(names(null), "org/evil", "leave its folder");
    assertThatThrownBy(() -> names("../x").model("model", "org/tiny"))
        .hasMessageContaining("--model_revision ../x");
  }

  private static void refused(HubNames names, String id, String... phrases) {
    assertThatThrownBy(() -> names.model("model", id))
        .isInstanceOf(UserError.class)
        .hasMessageContaining(id)
        .hasMessageContainingAll(phrases)
        .satisfies(e -> assertThat(e.getMessage().lines()).hasSize(1))
        .satisfies(e -> assertThat(e.getMessage()).doesNotContain("hf_wrong"));
  }

  @Test
  void shardsAreThoseOfTheIndex() throws IOException {
    String index =
        "{\"weight_map\": {\"a\": \"part-1.safetensors\", \"b\": \"part-2.safetensors\"}}";
    server
        .with("models/org/big", "config.json", "{}")
        .with("models/org/big", "model.safetensors.index.json", index)
        .with("models/org/big", "part-1.safetensors", "1")
        .with("models/org/big", "part-2.safetensors", "")
        .with("models/org/big", "consolidated.safetensors", "12");

    Path model = names(null).model("model", "org/big");

    assertThat(in(model))
        .containsExactly(
            "config.json",
            "model.safetensors.index.json",
            "part-1.safetensors",
            "part-2.safetensors");
  }

  @Test
  void manyStartsAtOnceFetchEachFileOnce() throws Exception {
    List<Future<Path>> starts = new ArrayList<>();
    environment.put("HF_HOME", folder.resolve("cache").toString());
    environment.put("HF_ENDPOINT", server.endpoint());
    try (ExecutorService threads = Executors.newFixedThreadPool(6)) {
      for (int i = 0; i < 6; i++) {
        HubNames names = names(null);
        starts.add(threads.submit(() -> names.model("model", "org/tiny")));
      }
    }
    for (Future<Path> start : starts) {
      assertThat(start.get().resolve(WEIGHTS)).hasBinaryContent(BYTES);
    }
    assertThat(server.seen.stream().filter(s -> !s.hub())).hasSize(1);
  }

  @Test
  void namesOfThisMachineWinAndOthersNeedUseHf() throws IOException {
    Path here = Files.createDirectories(folder.resolve("model"));
    assertThat(names(null).model("model", here.toString())).isEqualTo(here);
    assertThatThrownBy(() -> names(null, null, false).model("model", "org/tiny"))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("--model org/tiny", "--use_hf true", "ModelScope");
    assertThatThrownBy(() -> names("v1").model("model", here.toString()))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("--model_revision v1", "folder of this machine");
    environment.put("USE_HF", "1");
    assertThat(names(null, null, false).model("model", "org/tiny")).exists();
    assertThat(names(null, null, false).datasets("dataset", List.of("a.jsonl", "x/y.jsonl#3")))
        .isEmpty();
  }

  @Test
  void aDataSetGivesItsTrainingFiles() {
    String set = "datasets/org/chat";
    server
        .with(set, "README.md", "no head")
        .with(set, "data/train-00000-of-00002.parquet", "a")
        .with(set, "data/train-00001-of-00002.parquet", "b")
        .with(set, "data/test-00000-of-00001.parquet", "c");

    Map<String, List<Path>> files = names(null).datasets("dataset", List.of("org/chat#10"));

    assertThat(files).containsOnlyKeys("org/chat");
    assertThat(files.get("org/chat").stream().map(f -> f.getFileName().toString()))
        .containsExactly("train-00000-of-00002.parquet", "train-00001-of-00002.parquet");
    assertThat(server.requests("test-00000-of-00001.parquet")).isZero();
    environment.put("HF_HUB_OFFLINE", "1");
    assertThat(names(null).datasets("dataset", List.of("HF::org/chat")).get("HF::org/chat"))
        .isEqualTo(files.get("org/chat"));
    assertThatThrownBy(() -> names(null).datasets("dataset", List.of("MS::org/chat")))
        .hasMessageContainingAll("--dataset MS::org/chat", "ModelScope", "HF::org/chat");
  }

  @Test
  void aDataSetsCardNamesItsSubsets() {
    String set = "datasets/org/cards";
    server
        .with(
            set,
            "README.md",
            """
            ---
            license: mit
            configs:
            - config_name: en
              data_files:
              - split: train
                path: english/*.jsonl
              - split: test
                path: english/test/*.jsonl
            - config_name: de
              data_files: "german/rows.csv"
            ---
            # Cards
            """)
        .with(set, "english/one.jsonl", "{}")
        .with(set, "english/test/two.jsonl", "{}")
        .with(set, "german/rows.csv", "a");

    assertThat(names(null).datasets("dataset", List.of("org/cards:en")).get("org/cards:en"))
        .singleElement()
        .asString()
        .endsWith("english/one.jsonl");
    assertThat(names(null).datasets("dataset", List.of("org/cards:de#5")).get("org/cards:de"))
        .singleElement()
        .asString()
        .endsWith("german/rows.csv");
    assertThatThrownBy(() -> names(null).datasets("dataset", List.of("org/cards")))
        .isInstanceOf(UserError.class)
        .hasMessageContainingAll("subsets en, de", "org/cards:en");
    assertThatThrownBy(() -> names(null).datasets("dataset", List.of("org/cards:fr")))
        .hasMessageContainingAll("no subset fr", "en, de");
  }
}
