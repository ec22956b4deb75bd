package io.panatron.runtime.autograd;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * The record of one forward pass, from which {@link #backward} computes gradients.
 *
 * <p>A tape belongs to one step scope and one thread. Tensors are told apart by handle, so two
 * handles on the same memory have separate gradients. A tape that does not record serves evaluation
 * and generation: operations then free their inputs as soon as they are used. A tape that rebuilds
 * records a part of a forward pass that has been run before, for the sake of what it saves: a last
 * product, whose result nobody reads again, is then not computed.
 *
 * <p>A tensor that no trained parameter contributed to is constant: nobody needs its gradient. What
 * an operation makes of constants without training a parameter itself is constant too and is not
 * recorded, so backward ends at the first operation that is trained.
 */
public final class Tape {
  private final Backend backend;
  private final MemoryScope scope;
  private final boolean recording;
  private final boolean rebuilding;
  private final boolean noting;
  private final GradientListener listener;
  private @Nullable Runnable deferred;
  private final List<Tensor> waiting = new ArrayList<>(0);
  private final List<Op> operations = new ArrayList<>();
  private final Map<Tensor, Tensor> gradients = new IdentityHashMap<>();
  private final Set<Tensor> constants = Collections.newSetFromMap(new IdentityHashMap<>());

  private Tape(
      Backend backend,
      MemoryScope scope,
      boolean recording,
      boolean rebuilding,
      boolean noting,
      GradientListener listener) {
    this.backend = backend;
    this.scope = scope;
    this.recording = recording;
    this.rebuilding = rebuilding;
    this.noting = noting;
    this.listener = listener;
  }

  /** A tape that remembers what backward needs. */
  public static Tape recording(Backend backend, MemoryScope scope) {
    return recording(backend, scope, GradientListener.NONE);
  }

  /**
   * A tape that remembers what backward needs.
   *
   * @param listener hears whenever something was added to a parameter's gradient
   */
  public static Tape recording(Backend backend, MemoryScope scope, GradientListener listener) {
    return new Tape(backend, scope, true, false, true, listener);
  }

  /** A tape that remembers nothing. */
  public static Tape inference(Backend backend, MemoryScope scope) {
    return new Tape(backend, scope, false, false, false, GradientListener.NONE);
  }

  /** A tape for the first run of a segment: it remembers nothing but what is constant. */
  static Tape noting(Backend backend, MemoryScope scope) {
    return new Tape(backend, scope, false, false, true, GradientListener.NONE);
  }

  /** A tape for the second run of a segment that {@code first} does not remember. */
  static Tape rebuilding(Tape first) {
    return new Tape(first.backend(), first.scope, true, true, true, first.listener);
  }

  /** Who hears of gradients. */
  GradientListener listener() {
    return listener;
  }

  /** Who computes; everything computed through it finds what was computed before. */
  public Backend backend() {
    computeDeferred();
    return backend;
  }

  /**
   * Computes an output now, or, on a tape that rebuilds, when the next operation asks for the
   * {@link #backend()}. Until then {@code work}'s inputs must stay as they are.
   */
  void computeWhenNeeded(Runnable work) {
    computeDeferred();
    if (rebuilding) {
      deferred = work;
    } else {
      work.run();
    }
  }

  /**
   * Does more to an output that {@link #computeWhenNeeded} was given last: at once, or when that is
   * computed.
   */
  void goOnWhenNeeded(Runnable work) {
    Runnable before = deferred;
    if (before == null) {
      work.run();
    } else {
      deferred =
          () -> {
            before.run();
            work.run();
          };
    }
  }

  /** Gives up a reference when nothing that waits needs it any more. */
  void releaseWhenComputed(Tensor tensor) {
    if (deferred == null) {
      release(tensor);
    } else {
      waiting.add(tensor);
    }
  }

  /** Computes what still waits, before memory that it reads is given up. */
  void computeDeferred() {
    if (deferred != null) {
      Runnable work = deferred;
      deferred = null;
      work.run();
      releaseWaiting();
    }
  }

  /** Forgets what still waits at the end of a segment: backward does not read it. */
  void skipDeferred() {
    deferred = null;
    releaseWaiting();
  }

  private void releaseWaiting() {
    waiting.forEach(this::release);
    waiting.clear();
  }

  public MemoryScope scope() {
    return scope;
  }

  public boolean isRecording() {
    return recording;
  }

  /** The operations that wait for backward, in the order of the forward pass. */
  public List<Op> operations() {
    return List.copyOf(operations);
  }

  /** An uninitialised activation or gradient with one reference. */
  public Tensor allocate(String label, DType dtype, long... extents) {
    return scope.allocate(label, dtype, extents);
  }

  /** Adds a reference to an activation that two operations will consume. */
  public Tensor retain(Tensor tensor) {
    tensor.buffer().owner().retain(tensor);
    return tensor;
  }

  /** Gives up a reference, whichever scope the tensor belongs to. */
  public void release(Tensor tensor) {
    tensor.buffer().owner().release(tensor);
  }

  /** Whether the caller is the only holder, so that the memory may be overwritten. */
  boolean isExclusive(Tensor tensor) {
    return tensor.buffer().owner().references(tensor) == 1;
  }

  /** Whether nobody needs the gradient of a tensor, since nothing trained contributed to it. */
  public boolean isConstant(Tensor tensor) {
    return constants.contains(tensor);
  }

  /** Notes that {@code output} is made of constants alone. */
  void markConstant(Tensor output) {
    if (noting) {
      constants.add(output);
    }
  }

  /**
   * Whether an operation is to be recorded: not where its output is constant, which is noted.
   *
   * @param needed whether an input is not constant, or a parameter of the operation is trained
   */
  boolean records(boolean needed, Tensor... outputs) {
    if (!needed) {
      for (Tensor output : outputs) {
        markConstant(output);
      }
    }
    return recording && needed;
  }

  void record(Op operation) {
    if (!recording) {
      throw new IllegalStateException("this tape does not record");
    }
    operations.add(operation);
  }

  /** Runs all recorded operations backward, last first, and forgets them. */
  public void backward() {
    runBackward();
    requireNoGradients();
  }

  /**
   * As {@link #backward()}, for a pass that began at {@code input} instead of at ids: returns the
   * gradient that reached it.
   */
  public Tensor backward(Tensor input) {
    runBackward();
    if (isConstant(input)) {
      throw new IllegalStateException("nothing differentiates with respect to a constant");
    }
    Tensor gradient = takeGradient(input);
    requireNoGradients();
    return gradient;
  }

  private void runBackward() {
    while (!operations.isEmpty()) {
      operations.removeLast().backward(this);
    }
  }

  private void requireNoGradients() {
    if (!gradients.isEmpty()) {
      throw new IllegalStateException(
          gradients.size()
              + " gradients reached tensors that no recorded operation produced: "
              + gradients.keySet());
    }
  }

  /**
   * Adds {@code gradient} to that of {@code tensor}, taking over the caller's reference. Also seeds
   * backward: give the gradient of an output before calling {@link #backward}. That of a constant
   * is released.
   */
  public void giveGradient(Tensor tensor, Tensor gradient) {
    if (isConstant(tensor)) {
      release(gradient);
      return;
    }
    Tensor present = gradients.get(tensor);
    if (present == null) {
      gradients.put(tensor, gradient);
    } else if (isExclusive(present)) {
      backend.add(gradient, present);
      release(gradient);
    } else if (isExclusive(gradient)) {
      backend.add(present, gradient);
      release(present);
      gradients.put(tensor, gradient);
    } else {
      Tensor sum = scope.allocate("gradient sum", gradient.dtype(), gradient.shape());
      backend.copy(present, sum);
      backend.add(gradient, sum);
      release(present);
      release(gradient);
      gradients.put(tensor, sum);
    }
  }

  /** Removes the gradient of an output and hands its reference to the caller. */
  public Tensor takeGradient(Tensor output) {
    Tensor gradient = gradients.remove(output);
    if (gradient == null) {
      throw new IllegalStateException(
          "no gradient reached " + output.buffer().label() + " " + output);
    }
    return gradient;
  }

  /** As {@link #takeGradient}, but null when nothing downstream used the output. */
  public @Nullable Tensor takeGradientIfAny(Tensor output) {
    return gradients.remove(output);
  }
}
