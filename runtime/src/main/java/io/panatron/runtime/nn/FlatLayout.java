package io.panatron.runtime.nn;

import io.panatron.kernels.Shape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each parameter lies in a flat buffer that holds them all.
 *
 * <p>Trained parameters come first, among them those with weight decay, so that gradients and
 * optimizer state are a shorter buffer of the same layout. Each starts at a multiple of {@value
 * #ALIGNMENT} elements; the gaps hold zeros, which no norm sees and every update leaves at zero.
 */
public final class FlatLayout {
  /** Elements; Megatron aligns the parameters of its flat buffers likewise. */
  static final long ALIGNMENT = 64;

  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final long decayedElements;
  private final long trainedElements;
  private final long elements;

  /**
   * A parameter to be.
   *
   * @param decays whether weight decay applies to it
   * @param trained false for a frozen one, which has neither gradient nor optimizer state
   */
  public record Spec(String name, Shape shape, boolean decays, boolean trained) {
    /** Weight decay leaves out biases and every other one-dimensional parameter. */
    public Spec(String name, Shape shape) {
      this(name, shape, true);
    }

    /** As above, trained or frozen. */
    public Spec(String name, Shape shape, boolean trained) {
      this(name, shape, shape.rank() >= 2, trained);
    }
  }

  /** A parameter's first element and shape. */
  public record Slot(long first, Shape shape) {}

  /** Lays out parameters of distinct names. */
  public FlatLayout(List<Spec> specs) {
    List<Spec> ordered = new ArrayList<>(specs);
    ordered.sort(Comparator.comparingInt(FlatLayout::region));
    long next = 0;
    long decayed = 0;
    long trained = 0;
    for (Spec spec : ordered) {
      if (slots.put(spec.name(), new Slot(next, spec.shape())) != null) {
        throw new IllegalArgumentException("two parameters are named " + spec.name());
      }
      next += paddedElements(spec.shape());
      if (spec.trained()) {
        trained = next;
        decayed = spec.decays() ? next : decayed;
      }
    }
    decayedElements = decayed;
    trainedElements = trained;
    elements = next;
  }

  private static int region(Spec spec) {
    if (!spec.trained()) {
      return 2;
    }
    return spec.decays() ? 0 : 1;
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

  /** The leading elements that belong to trained parameters, gaps included. */
  public long trainedElements() {
    return trainedElements;
  }

  /** The leading elements to which weight decay applies. */
  public long decayedElements() {
    return decayedElements;
  }
}
