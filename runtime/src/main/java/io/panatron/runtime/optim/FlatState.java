package io.panatron.runtime.optim;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.StoredTensor;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.nn.FlatLayout;
import io.panatron.runtime.nn.ParameterStore;
import io.panatron.runtime.tensor.HostTransfer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.List;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * One kind of optimizer state of all trained parameters, in a flat tensor of the store's layout:
 * numbers as {@link StoredTensor} describes them, each parameter with a scale of its own where the
 * dtype has one. Files hold them in F32.
 */
public final class FlatState {
  /** Elements converted at a time on their way to a file and back. */
  private static final long CHUNK = 1 << 18;

  private final Backend backend;
  private final ParameterStore store;
  private final String name;
  private final List<String> parameters;
  private final Tensor values;
  private final @Nullable Tensor scales;
  private final Tensor staging;

  /**
   * Allocates from the run scope; all numbers are 0.
   *
   * @param staging F32 of {@link #newStaging}, which several states share
   */
  FlatState(
      Backend backend,
      MemoryScope run,
      ParameterStore store,
      String name,
      DType dtype,
      Tensor staging) {
    this.backend = backend;
    this.store = store;
    this.name = name;
    this.staging = staging;
    parameters = store.trained().stream().map(p -> p.name()).toList();
    values = run.allocate(name, dtype, store.layout().trainedElements());
    if (StoredTensor.isScaled(dtype)) {
      scales = run.allocate(name + " scales", DType.F32, parameters.size());
      backend.fill(scales, 0);
    } else {
      scales = null;
    }
    clear();
  }

  static Tensor newStaging(MemoryScope run, ParameterStore store) {
    return run.allocate(
        "optimizer staging", DType.F32, Math.clamp(store.layout().trainedElements(), 1, CHUNK));
  }

  /** As the optimizer and its files call it, such as {@code exp_avg}. */
  public String name() {
    return name;
  }

  /** The flat tensor as it lies in memory. */
  public Tensor values() {
    return values;
  }

  /** Each parameter's scale, [parameters] in the order of the store; null without any. */
  public @Nullable Tensor scales() {
    return scales;
  }

  /** The part of one parameter, [elements]. */
  StoredTensor of(int parameter) {
    FlatLayout.Slot slot = store.layout().slot(parameters.get(parameter));
    return new StoredTensor(
        values.slice(slot.first(), slot.shape().elements()),
        scales == null ? null : scales.slice(parameter, 1));
  }

  /** Sets everything to 0. */
  private void clear() {
    if (values.dtype() != DType.I16) {
      backend.fill(values, 0);
      return;
    }
    long count = staging.bytes() / Short.BYTES;
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment zeros = arena.allocate(staging.bytes());
      for (long first = 0; first < values.elements(); first += count) {
        Tensor part = values.slice(first, Math.min(count, values.elements() - first));
        backend.device().upload(zeros, part);
      }
    }
  }

  /** Takes over the model's values, of which this is the main copy. */
  void adoptModel() {
    if (values.dtype() == DType.I16) {
      clear();
      return;
    }
    for (int parameter = 0; parameter < parameters.size(); parameter++) {
      FlatLayout.Slot slot = store.layout().slot(parameters.get(parameter));
      Tensor model = store.values().slice(slot.first(), slot.shape().elements());
      if (scales != null) {
        setScale(parameter, StoredTensor.scale(values.dtype(), largest(model)));
      }
      for (long first = 0; first < model.elements(); first += staging.elements()) {
        long count = Math.min(staging.elements(), model.elements() - first);
        Tensor numbers = staging.slice(0, count);
        backend.copy(model.slice(first, count), numbers);
        store(parameter, first, numbers);
      }
    }
  }

  private float largest(Tensor model) {
    double largest = 0;
    for (long first = 0; first < model.elements(); first += staging.elements()) {
      long count = Math.min(staging.elements(), model.elements() - first);
      Tensor numbers = staging.slice(0, count);
      backend.copy(model.slice(first, count), numbers);
      for (double number : HostTransfer.download(backend.device(), numbers)) {
        largest = Math.max(largest, Math.abs(number));
      }
    }
    return (float) largest;
  }

  /** Chooses a parameter's scale for numbers of at most this magnitude; nothing without scales. */
  public void scaleFor(String parameter, float magnitude) {
    if (scales != null) {
      setScale(parameters.indexOf(parameter), StoredTensor.scale(values.dtype(), magnitude));
    }
  }

  private void setScale(int parameter, float scale) {
    Tensor target = Objects.requireNonNull(scales).slice(parameter, 1);
    HostTransfer.write(backend.device(), new double[] {scale}, target);
  }

  private float scale(int parameter) {
    Tensor all = scales;
    return all == null
        ? 1
        : (float) HostTransfer.download(backend.device(), all.slice(parameter, 1))[0];
  }

  /**
   * Writes some of a parameter's numbers to host memory in F32. Computes on the host alone, so that
   * another thread may call it while the backend is at work.
   *
   * @param first counted from the parameter's first
   * @param host room for {@link #chunk} numbers
   */
  public void download(String parameter, long first, long count, MemorySegment host) {
    int index = parameters.indexOf(parameter);
    Tensor part = part(values, index, first, count);
    if (values.dtype() == DType.I16) {
      join(part, part(store.values(), index, first, count), host);
      return;
    }
    float scale = scale(index);
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment stored = arena.allocate(Math.max(part.bytes(), 1), Long.BYTES);
      backend.device().download(part, stored);
      for (long i = 0; i < count; i++) {
        float number = StoredNumbers.widen(values.dtype(), stored, i);
        host.setAtIndex(
            ValueLayout.JAVA_FLOAT_UNALIGNED, i, scales == null ? number : number * scale);
      }
    }
  }

  /** Reads some of a parameter's numbers from F32 in host memory; the scale stays. */
  public void upload(String parameter, long first, long count, MemorySegment host) {
    int index = parameters.indexOf(parameter);
    if (values.dtype() == DType.I16) {
      split(host, part(values, index, first, count), part(store.values(), index, first, count));
      return;
    }
    Tensor numbers = staging.slice(0, count);
    backend.device().upload(host, numbers);
    store(index, first, numbers);
  }

  private void store(int parameter, long first, Tensor numbers) {
    if (scales != null) {
      backend.scale(numbers, StoredTensor.reciprocal(scale(parameter)));
    }
    backend.copy(numbers, part(values, parameter, first, numbers.elements()));
  }

  /** The most numbers that {@link #download} and {@link #upload} move at a time. */
  public long chunk() {
    return staging.elements();
  }

  private Tensor part(Tensor flat, int parameter, long first, long count) {
    return flat.slice(store.layout().slot(parameters.get(parameter)).first() + first, count);
  }

  private void join(Tensor lower, Tensor upper, MemorySegment host) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment low = arena.allocate(lower.bytes(), Short.BYTES);
      MemorySegment high = arena.allocate(upper.bytes(), Short.BYTES);
      backend.device().download(lower, low);
      backend.device().download(upper, high);
      for (long i = 0; i < lower.elements(); i++) {
        int bits =
            (high.getAtIndex(ValueLayout.JAVA_SHORT, i) << 16)
                + low.getAtIndex(ValueLayout.JAVA_SHORT, i);
        host.setAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i, bits);
      }
    }
  }

  private void split(MemorySegment host, Tensor lower, Tensor upper) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment low = arena.allocate(lower.bytes(), Short.BYTES);
      MemorySegment high = arena.allocate(upper.bytes(), Short.BYTES);
      for (long i = 0; i < lower.elements(); i++) {
        int bits = host.getAtIndex(ValueLayout.JAVA_INT_UNALIGNED, i);
        low.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) bits);
        high.setAtIndex(ValueLayout.JAVA_SHORT, i, (short) (bits + 0x8000 >>> 16));
      }
      backend.device().upload(low, lower);
      backend.device().upload(high, upper);
    }
  }
}
