package io.panatron.runtime.nn;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Shape;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * All parameters of a model in one flat buffer, and their gradients in another of the same layout,
 * so that norms, clipping and updates are a few large operations.
 *
 * <p>Parameters with weight decay come first. Each starts at a multiple of {@value #ALIGNMENT}
 * elements; the gaps hold zeros, which no norm sees and every update leaves at zero.
 */
public final class ParameterStore {
  /** Elements; one cache line of F32 is 16, and 64 is what Megatron's flat buffers use. */
  static final long ALIGNMENT = 64;

  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final long decayedElements;
  private final long elements;
  private final Tensor values;
  private final @Nullable Tensor gradients;

  /** A parameter to be: its name, its shape, and whether weight decay applies to it. */
  public record Spec(String name, Shape shape, boolean decays) {
    /** Weight decay leaves out biases and every other one-dimensional parameter. */
    public Spec(String name, Shape shape) {
      this(name, shape, shape.rank() >= 2);
    }
  }

  private record Slot(long first, Shape shape) {}

  /**
   * Allocates from the run scope and zeroes everything.
   *
   * @param trained whether gradients are needed
   */
  public ParameterStore(
      Backend backend, MemoryScope run, List<Spec> specs, DType dtype, boolean trained) {
    List<Spec> ordered = new ArrayList<>(specs);
    ordered.sort((a, b) -> Boolean.compare(b.decays(), a.decays()));
    long next = 0;
    long decayed = 0;
    for (Spec spec : ordered) {
      if (slots.put(spec.name(), new Slot(next, spec.shape())) != null) {
        throw new IllegalArgumentException("two parameters are named " + spec.name());
      }
      next += (spec.shape().elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
      if (spec.decays()) {
        decayed = next;
      }
    }
    decayedElements = decayed;
    elements = next;
    values = run.allocate("parameters", dtype, elements);
    backend.fill(values, 0);
    if (trained) {
      gradients = run.allocate("gradients", dtype.accumulator(), elements);
      backend.fill(gradients, 0);
    } else {
      gradients = null;
    }
    for (Spec spec : specs) {
      Tensor gradient = gradients == null ? null : view(gradients, spec.name());
      parameters.put(spec.name(), new Parameter(spec.name(), view(values, spec.name()), gradient));
    }
  }

  public Parameter parameter(String name) {
    Parameter parameter = parameters.get(name);
    if (parameter == null) {
      throw new IllegalArgumentException("no parameter is named " + name);
    }
    return parameter;
  }

  public boolean contains(String name) {
    return parameters.containsKey(name);
  }

  /** In the order of the specs. */
  public List<Parameter> all() {
    return List.copyOf(parameters.values());
  }

  /** The part of a flat tensor of this layout that belongs to a parameter. */
  public Tensor view(Tensor flat, String name) {
    Slot slot = slots.get(name);
    if (slot == null) {
      throw new IllegalArgumentException("no parameter is named " + name);
    }
    return flat.slice(slot.first(), slot.shape().elements()).reshape(slot.shape().toArray());
  }

  /** All values, [elements] in the compute dtype. */
  public Tensor values() {
    return values;
  }

  /** All gradients, [elements] in the accumulator dtype. */
  public Tensor gradients() {
    if (gradients == null) {
      throw new IllegalStateException("these parameters are not trained");
    }
    return gradients;
  }

  /** Elements of a flat buffer of this layout, gaps included. */
  public long elements() {
    return elements;
  }

  /** The leading elements to which weight decay applies. */
  public long decayedElements() {
    return decayedElements;
  }
}
