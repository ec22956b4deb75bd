package io.panatron.runtime.model;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.SafetensorsDtype;
import io.panatron.runtime.checkpoint.SafetensorsTensor;
import io.panatron.runtime.checkpoint.TensorSource;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.nn.TensorParallel;
import io.panatron.runtime.optim.FlatState;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.channels.WritableByteChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * Moves parameters between the device and safetensors files, taking fused parameters apart and
 * putting them together again, and transposing those that a family stores so: files name tensors as
 * Hugging Face does.
 */
public final class WeightTransfer {
  /** Bytes moved at a time; bounds the staging memory on the host and on the device. */
  private static final long CHUNK_BYTES = 4L << 20;

  private final Backend backend;
  private final List<ParameterLayout> layouts;
  private final List<ParameterShard> held;
  private final @Nullable ShardTransfer shards;

  /** Of a rank that has all of each parameter. */
  public WeightTransfer(Backend backend, ModelConfig config) {
    this.backend = backend;
    this.layouts = ParameterLayout.of(config);
    this.held = List.of();
    this.shards = null;
  }

  /**
   * Of one rank among those that share the model's matrices. What is saved is then whole on the
   * first of them, while the others {@link #serveSaving}.
   *
   * @param memory lends what the ranks send each other
   */
  public WeightTransfer(
      Backend backend, ModelConfig config, TensorParallel parallel, MemoryPool memory) {
    this(backend, config, config, parallel, memory);
  }

  /**
   * As above, for files of a model with fewer rows of the vocabulary.
   *
   * @param saved the model of the files
   * @param config the model of the run, whose rows the ranks share
   */
  public WeightTransfer(
      Backend backend,
      ModelConfig saved,
      ModelConfig config,
      TensorParallel parallel,
      MemoryPool memory) {
    this.backend = backend;
    this.layouts = ParameterLayout.of(saved);
    boolean shares = parallel.size() > 1;
    this.held = shares ? ParameterShard.of(config, parallel) : List.of();
    this.shards = shares ? new ShardTransfer(backend, parallel, memory) : null;
  }

  /** Whether this rank writes what is saved. */
  public boolean isWriter() {
    return shards == null || shards.gathering().isFirst();
  }

  /** Every rank calls this before it lists the sources of a checkpoint, in the same order. */
  public void beginSaving() {
    if (shards != null) {
      shards.gathering().begin();
    }
  }

  /** The writer calls this when it has written all sources, or when it failed. */
  public void endSaving() {
    if (shards != null) {
      shards.gathering().end();
    }
  }

  /** The others deliver what the writer asks for until it ends. */
  public void serveSaving() {
    if (shards != null) {
      shards.gathering().serve();
    }
  }

  /** What a parameter is to be moved as, where this rank has only a part of it; else null. */
  private @Nullable ParameterShard shard(ParameterLayout layout) {
    return held.stream()
        .filter(shard -> shard.layout().name().equals(layout.name()) && !shard.isWhole())
        .findFirst()
        .orElse(null);
  }

  /**
   * Overwrites a flat tensor of the store's layout with the tensors of a file, converting their
   * dtype.
   *
   * @param tensors by Hugging Face name behind {@code prefix}; must hold every part with its shape
   * @param store of a pipeline stage holds some of the parameters; the others are passed over
   */
  public void load(
      Map<String, SafetensorsTensor> tensors,
      String prefix,
      ParameterStore store,
      Tensor flat,
      MemoryScope scratch) {
    for (ParameterLayout layout : layouts) {
      if (!store.contains(layout.name())) {
        continue;
      }
      Tensor parameter = store.view(flat, layout.name());
      ParameterShard shard = shard(layout);
      for (ParameterLayout.Part part : layout.parts()) {
        SafetensorsTensor tensor = required(tensors, prefix, layout, part);
        if (shard != null && shards != null) {
          shards.load(tensor, deviceDtype(tensor), shard.pieces(part), parameter, scratch);
          continue;
        }
        Tensor target = parameter.slice(part.firstRow(), part.rows());
        if (part.transposed()) {
          uploadTransposed(tensor, target, scratch);
        } else {
          upload(tensor, target.reshape(target.elements()), scratch);
        }
      }
    }
  }

  private static SafetensorsTensor required(
      Map<String, SafetensorsTensor> tensors,
      String prefix,
      ParameterLayout layout,
      ParameterLayout.Part part) {
    SafetensorsTensor tensor = tensors.get(prefix + part.hfName());
    if (tensor == null || !Arrays.equals(tensor.shape(), layout.shape(part))) {
      throw new UserError(
          "the file has no tensor "
              + prefix
              + part.hfName()
              + " of shape "
              + Arrays.toString(layout.shape(part))
              + "; it belongs to another model");
    }
    return tensor;
  }

  /** The tensors of a flat buffer of the store's layout, to be saved in the buffer's own dtype. */
  public List<TensorSource> sources(ParameterStore store, Tensor flat) {
    return sources(store, flat, "");
  }

  /** As {@link #sources(ParameterStore, Tensor)}, with {@code prefix} before each name. */
  public List<TensorSource> sources(ParameterStore store, Tensor flat, String prefix) {
    List<TensorSource> sources = new ArrayList<>();
    for (ParameterLayout layout : layouts) {
      Tensor parameter = store.view(flat, layout.name());
      for (ParameterLayout.Part part : layout.parts()) {
        String name = prefix + part.hfName();
        SafetensorsDtype dtype = fileDtype(flat.dtype());
        long[] shape = layout.shape(part);
        if (shards != null && shard(layout) != null) {
          var local = shards.local(parameter);
          sources.add(
              shards.source(name, dtype, layout, part, part.transposed(), flat.dtype(), local));
          continue;
        }
        Tensor rows = parameter.slice(part.firstRow(), part.rows());
        sources.add(
            new TensorSource(
                name,
                dtype,
                shape,
                part.transposed()
                    ? out -> downloadTransposed(rows, out)
                    : new DeviceRows(backend.device(), rows.reshape(rows.elements()))));
      }
    }
    return sources;
  }

  /**
   * Overwrites optimizer state with the F32 tensors of a file.
   *
   * @param tensors as for {@link #load(Map, String, ParameterStore, Tensor, MemoryScope)}
   * @param scales each parameter's scale as it was saved, or null to choose new ones
   */
  public void load(
      Map<String, SafetensorsTensor> tensors,
      String prefix,
      FlatState state,
      @Nullable SafetensorsTensor scales) {
    Tensor factors = state.scales();
    boolean chooses = scales == null;
    if (factors != null && scales != null) {
      backend.device().upload(scales.data(), factors);
    }
    for (ParameterLayout layout : layouts) {
      List<SafetensorsTensor> parts =
          layout.parts().stream().map(part -> statePart(tensors, prefix, layout, part)).toList();
      ParameterShard shard = shard(layout);
      if (shard != null && shards != null) {
        for (int i = 0; i < parts.size(); i++) {
          List<ShardPiece> pieces = shard.pieces(layout.parts().get(i));
          shards.load(parts.get(i), pieces, state, layout.name());
        }
        continue;
      }
      if (chooses) {
        state.scaleFor(layout.name(), largest(parts));
      }
      long position = 0;
      for (SafetensorsTensor part : parts) {
        long count = part.data().byteSize() / Float.BYTES;
        for (long first = 0; first < count; first += state.chunk()) {
          long length = Math.min(state.chunk(), count - first);
          MemorySegment numbers = part.data().asSlice(first * Float.BYTES, length * Float.BYTES);
          state.upload(layout.name(), position + first, length, numbers);
        }
        position += count;
      }
    }
  }

  private static SafetensorsTensor statePart(
      Map<String, SafetensorsTensor> tensors,
      String prefix,
      ParameterLayout layout,
      ParameterLayout.Part part) {
    SafetensorsTensor tensor = required(tensors, prefix, layout, part);
    if (tensor.dtype() != SafetensorsDtype.F32) {
      throw new UserError(
          "the file has " + tensor + ", where optimizer state is F32; it belongs to another run");
    }
    return tensor;
  }

  private static float largest(List<SafetensorsTensor> parts) {
    float largest = 0;
    for (SafetensorsTensor part : parts) {
      for (long at = 0; at < part.data().byteSize(); at += Float.BYTES) {
        float number = part.data().get(ValueLayout.JAVA_FLOAT_UNALIGNED, at);
        largest = Math.max(largest, Math.abs(number));
      }
    }
    return largest;
  }

  /** Optimizer state to be saved in F32, and its scales, if it has any, under {@code scales}. */
  public List<TensorSource> sources(FlatState state, String prefix, String scales) {
    List<TensorSource> sources = new ArrayList<>();
    for (ParameterLayout layout : layouts) {
      long position = 0;
      for (ParameterLayout.Part part : layout.parts()) {
        long[] shape = layout.shape(part);
        if (shards != null && shard(layout) != null) {
          var local = ShardTransfer.local(state, layout.name());
          sources.add(
              shards.source(
                  prefix + part.hfName(),
                  SafetensorsDtype.F32,
                  layout,
                  part,
                  false,
                  DType.F32,
                  local));
          continue;
        }
        long first = position;
        long count = Arrays.stream(shape).reduce(1, Math::multiplyExact);
        sources.add(
            new TensorSource(
                prefix + part.hfName(),
                SafetensorsDtype.F32,
                shape,
                out -> download(state, layout.name(), first, count, out)));
        position += count;
      }
    }
    Tensor factors = state.scales();
    if (factors != null) {
      long[] shape = {factors.elements()};
      sources.add(
          new TensorSource(
              scales, SafetensorsDtype.F32, shape, new DeviceRows(backend.device(), factors)));
    }
    return sources;
  }

  private static void download(
      FlatState state, String parameter, long position, long count, WritableByteChannel out)
      throws IOException {
    try (Arena arena = Arena.ofConfined()) {
      long most = Math.max(1, Math.min(state.chunk(), count));
      MemorySegment host = arena.allocate(most * Float.BYTES, 8);
      for (long first = 0; first < count; first += state.chunk()) {
        long length = Math.min(state.chunk(), count - first);
        state.download(parameter, position + first, length, host);
        TensorSource.write(host.asSlice(0, length * Float.BYTES), out);
      }
    }
  }

  /** The dtype under which a device dtype is saved. */
  public static SafetensorsDtype fileDtype(DType dtype) {
    return switch (dtype) {
      case F64 -> SafetensorsDtype.F64;
      case F32 -> SafetensorsDtype.F32;
      case BF16 -> SafetensorsDtype.BF16;
      case F16 -> SafetensorsDtype.F16;
      case F8_E4M3 -> SafetensorsDtype.F8_E4M3;
      case I16 -> SafetensorsDtype.I16;
      case I32 -> SafetensorsDtype.I32;
    };
  }

  private static DType deviceDtype(SafetensorsTensor tensor) {
    return switch (tensor.dtype()) {
      case F64 -> DType.F64;
      case F32 -> DType.F32;
      case BF16 -> DType.BF16;
      case F16 -> DType.F16;
      default ->
          throw new IllegalArgumentException(
              tensor + " is not of a floating dtype the trainer reads");
    };
  }

  private void upload(SafetensorsTensor tensor, Tensor target, MemoryScope scratch) {
    DType dtype = deviceDtype(tensor);
    long chunk = CHUNK_BYTES / dtype.bytes();
    Tensor staging =
        scratch.allocate(
            "weights from file", dtype, Math.min(chunk, Math.max(1, target.elements())));
    for (long first = 0; first < target.elements(); first += chunk) {
      long count = Math.min(chunk, target.elements() - first);
      Tensor piece = staging.slice(0, count);
      backend
          .device()
          .upload(tensor.data().asSlice(first * dtype.bytes(), count * dtype.bytes()), piece);
      backend.copy(piece, target.slice(first, count));
    }
    scratch.release(staging);
  }

  /** As {@link #upload}, a few rows of the target at a time, which are columns of the file. */
  private void uploadTransposed(SafetensorsTensor tensor, Tensor target, MemoryScope scratch) {
    DType dtype = deviceDtype(tensor);
    int columns = target.shape().columns();
    int rows = target.shape().rows();
    int step = Math.clamp(CHUNK_BYTES / dtype.bytes() / columns, 1, rows);
    Tensor staging = scratch.allocate("weights from file", dtype, (long) step * columns);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(staging.bytes(), 8);
      for (int first = 0; first < rows; first += step) {
        int count = Math.min(step, rows - first);
        TransposedMatrix.columns(tensor.data(), columns, rows, first, count, dtype.bytes(), host);
        Tensor piece = staging.slice(0, (long) count * columns);
        backend.device().upload(host.asSlice(0, piece.bytes()), piece);
        Tensor into = target.slice(first, count);
        backend.copy(piece, into.reshape(into.elements()));
      }
    }
    scratch.release(staging);
  }

  /** The columns of a matrix one after another; the whole matrix is on the host meanwhile. */
  private void downloadTransposed(Tensor tensor, WritableByteChannel out) throws IOException {
    int rows = tensor.shape().rows();
    int columns = tensor.shape().columns();
    long bytes = tensor.dtype().bytes();
    int step = Math.clamp(CHUNK_BYTES / bytes / rows, 1, columns);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment host = arena.allocate(tensor.bytes(), 8);
      backend.device().download(tensor, host);
      MemorySegment piece = arena.allocate(bytes * step * rows, 8);
      for (int first = 0; first < columns; first += step) {
        int count = Math.min(step, columns - first);
        TransposedMatrix.columns(host, rows, columns, first, count, bytes, piece);
        TensorSource.write(piece.asSlice(0, bytes * count * rows), out);
      }
    }
  }

  /** The elements of a flat tensor, fetched from the device when they are asked for. */
  private record DeviceRows(Device device, Tensor flat) implements TensorSource.Writer {
    @Override
    public void writeTo(WritableByteChannel out) throws IOException {
      long chunk = CHUNK_BYTES / flat.dtype().bytes();
      try (Arena arena = Arena.ofConfined()) {
        MemorySegment host = arena.allocate(Math.min(CHUNK_BYTES, Math.max(flat.bytes(), 1)), 8);
        for (long first = 0; first < flat.elements(); first += chunk) {
          Tensor piece = flat.slice(first, Math.min(chunk, flat.elements() - first));
          MemorySegment part = host.asSlice(0, piece.bytes());
          device.download(piece, part);
          TensorSource.write(part, out);
        }
      }
    }

    /** In one go, without the detour that a file needs. */
    @Override
    public void copyTo(MemorySegment target) {
      device.download(flat, target);
    }
  }
}
