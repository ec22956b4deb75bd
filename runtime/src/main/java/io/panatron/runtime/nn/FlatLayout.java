package io.panatron.runtime.nn;

import io.panatron.kernels.Shape;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each parameter lies in a flat buffer that holds them all.
 *
 * <p>Parameters with weight decay come first. Each starts at a multiple of {@value #ALIGNMENT}
 * elements; the gaps hold zeros, which no norm sees and every update leaves at zero.
 */
public final class FlatLayout {
  /** Elements; Megatron aligns the parameters of its flat buffers likewise. */
  static final long ALIGNMENT = 64;

  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final long decayedElements;
  private final long elements;

  /** A parameter to be: its name, its shape, and whether weight decay applies to it. */
  public record Spec(String name, Shape shape, boolean decays) {
    /** Weight decay leaves out biases and every other one-dimensional parameter. */
    public Spec(String name, Shape shape) {
      this(name, shape, shape.rank() >= 2);
    }
  }

  /** A parameter's first element and shape. */
  public record Slot(long first, Shape shape) {}

  /** Lays out parameters of distinct names. */
  public FlatLayout(List<Spec> specs) {
    this(specs, ALIGNMENT);
  }

  /**
   * As above, with a gap at the end.
   *
   * @param multiple what {@link #elements} is a multiple of, see {@link #multipleFor}
   */
  public FlatLayout(List<Spec> specs, long multiple) {
    List<Spec> ordered = new ArrayList<>(specs);
    ordered.sort((a, b) -> Boolean.compare(b.decays(), a.decays()));
    long next = 0;
    long decayed = 0;
    for (Spec spec : ordered) {
      if (slots.put(spec.name(), new Slot(next, spec.shape())) != null) {
        throw new IllegalArgumentException("two parameters are named " + spec.name());
      }
      next += paddedElements(spec.shape());
      if (spec.decays()) {
        decayed = next;
      }
    }
    decayedElements = decayed;
    elements = (next + multiple - 1) / multiple * multiple;
  }

  /**
   * What a flat buffer's length must be a multiple of for so many ranks to share it: each has the
   * same whole number of elements, and parts of it can begin on cache lines.
   */
  public static long multipleFor(int ranks) {
    if (ranks == 1) {
      return ALIGNMENT;
    }
    long multiple = 2 * ALIGNMENT;
    while (multiple % ranks != 0) {
      multiple += 2 * ALIGNMENT;
    }
    return multiple;
  }

  /** Elements that a parameter takes up, the gap behind it included. */
  public static long paddedElements(Shape shape) {
    return (shape.elements() + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  }

  /** Where a parameter lies. */
  public Slot slot(String name) {
    Slot slot = slots.get(name);
    if (slot == null) {
      throw new IllegalArgumentException("no parameter is named " + name);
    }
    return slot;
  }

  /** Elements of a flat buffer, gaps included. */
  public long elements() {
    return elements;
  }

  /** The leading elements to which weight decay applies. */
  public long decayedElements() {
    return decayedElements;
  }
}
