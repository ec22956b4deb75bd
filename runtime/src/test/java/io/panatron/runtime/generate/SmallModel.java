package io.panatron.runtime.generate;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import io.panatron.runtime.autograd.Tape;
import io.panatron.runtime.model.LoadedModel;
import io.panatron.runtime.parallel.RankContext;
import io.panatron.runtime.quickstart.QuickstartModel;
import io.panatron.runtime.tensor.HostTransfer;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.stream.IntStream;

/** A model of random weights on the reference backend. */
final class SmallModel implements AutoCloseable {
  static final int POSITIONS = 700;

  final RankContext rank;
  final LoadedModel loaded;

  private SmallModel(RankContext rank, LoadedModel loaded) {
    this.rank = rank;
    this.loaded = loaded;
  }

  /** Writes a model folder without weights. */
  static void write(Path folder) {
    try {
      new QuickstartModel(8, 12, 2, 2, 1, 4).write(folder);
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  static RankContext reference() {
    Backend backend = Backends.reference();
    return RankContext.single(backend, new MemoryPool(backend.device(), (bytes, reserved) -> {}));
  }

  static SmallModel open(Path folder) {
    write(folder);
    return opened(folder);
  }

  /** One whose first layer sees only a few tokens. */
  static SmallModel openWithWindow(Path folder, int window) {
    write(folder);
    Path file = folder.resolve("config.json");
    try {
      ObjectNode config = (ObjectNode) new ObjectMapper().readTree(file.toFile());
      config.put("use_sliding_window", true).put("sliding_window", window);
      config.putArray("layer_types").add("sliding_attention").add("full_attention");
      Files.writeString(file, config.toString());
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
    return opened(folder);
  }

  private static SmallModel opened(Path folder) {
    RankContext rank = reference();
    return new SmallModel(
        rank,
        LoadedModel.open(
            rank, folder, new LoadedModel.Options(DType.F64, false, POSITIONS, 5, true)));
  }

  Generator generator() {
    return new Generator(rank, loaded.config(), loaded.network());
  }

  /** The logits after the last token, computed without a cache. */
  double[] logitsAfter(int[] ids) {
    Device device = rank.backend().device();
    int[] positions = IntStream.range(0, ids.length).toArray();
    try (MemoryScope scope = rank.memory().scope("logits", true)) {
      Tensor logits =
          loaded
              .network()
              .logits(
                  Tape.inference(rank.backend(), scope),
                  HostTransfer.upload(device, scope, "ids", ids),
                  HostTransfer.upload(device, scope, "positions", positions),
                  AttentionLayout.packed(new int[] {0, ids.length}));
      double[] all = HostTransfer.download(device, logits);
      int vocabulary = all.length / ids.length;
      return Arrays.copyOfRange(all, all.length - vocabulary, all.length);
    }
  }

  @Override
  public void close() {
    loaded.close();
    rank.close();
  }
}
