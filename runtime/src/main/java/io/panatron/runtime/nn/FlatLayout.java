package io.panatron.runtime.nn;

import io.panatron.kernels.Shape;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Where each parameter lies in a flat buffer that holds them all.
 *
 * <p>Trained parameters come first, so that gradients and optimizer state are a shorter buffer of
 * the same layout; among them those with weight decay, and among those with it and those without it
 * the ones that this rank alone holds. Each starts at a multiple of {@value #ALIGNMENT} elements;
 * the gaps hold zeros, which no norm sees and every update leaves at zero.
 */
public final class FlatLayout {
  /** Elements; Megatron aligns the parameters of its flat buffers likewise. */
  static final long ALIGNMENT = 64;

  private final Map<String, Slot> slots = new LinkedHashMap<>();
  private final Map<Sharing, List<Range>> ranges = new EnumMap<>(Sharing.class);
  private final long decayedElements;
  private final long trainedElements;
  private final long elements;

  /** Who holds a parameter, among the ranks that share a model's matrices. */
  public enum Sharing {
    /** This rank alone: a part of a matrix, or everything where one rank has all. */
    OWN,
    /** Every rank, each of which computes its whole gradient. */
    REPLICATED,
    /** Every rank, each of which computes a part of its gradient, to be summed over the ranks. */
    SUMMED
  }

  /** Consecutive elements of a flat buffer. */
  public record Range(long first, long count) {
    /** Behind the last element. */
    public long end() {
      return first + count;
    }
  }

  /**
   * A parameter to be.
   *
   * @param decays whether weight decay applies to it
   * @param sharing who holds it
   * @param trained false for a frozen one, which has neither gradient nor optimizer state
   */
  public record Spec(String name, Shape shape, boolean decays, Sharing sharing, boolean trained) {
    /** Of a rank that alone holds it. */
    public Spec(String name, Shape shape, boolean decays) {
      this(name, shape, decays, Sharing.OWN);
    }

    /** Trained. */
    public Spec(String name, Shape shape, boolean decays, Sharing sharing) {
      this(name, shape, decays, sharing, true);
    }

    /** Weight decay leaves out biases and every other one-dimensional parameter. */
    public Spec(String name, Shape shape) {
      this(name, shape, shape.rank() >= 2);
    }

    /** The same parameter, trained or frozen. */
    public Spec withTraining(boolean trains) {
      return new Spec(name, shape, decays, sharing, trains);
    }
  }

  /** A parameter's first element and shape. */
  public record Slot(long first, Shape shape) {}

  /** Lays out parameters of distinct names. */
  public FlatLayout(List<Spec> specs) {
    this(specs, ALIGNMENT);
  }

  /**
   * As above, with a gap behind the trained parameters.
   *
   * @param multiple what {@link #trainedElements} is a multiple of, see {@link #multipleFor}
   */
  public FlatLayout(List<Spec> specs, long multiple) {
    List<Spec> ordered = new ArrayList<>(specs);
    ordered.sort(Comparator.comparingInt(FlatLayout::region).thenComparing(Spec::sharing));
    long next = 0;
    long decayed = 0;
    long trained = -1;
    for (Spec spec : ordered) {
      if (!spec.trained() && trained < 0) {
        trained = multipleOf(multiple, next);
        next = trained;
      }
      if (slots.put(spec.name(), new Slot(next, spec.shape())) != null) {
        throw new IllegalArgumentException("two parameters are named " + spec.name());
      }
      if (spec.trained()) {
        note(spec.sharing(), new Range(next, paddedElements(spec.shape())));
      }
      next += paddedElements(spec.shape());
      if (spec.trained() && spec.decays()) {
        decayed = next;
      }
    }
    decayedElements = decayed;
    trainedElements = trained < 0 ? multipleOf(multiple, next) : trained;
    elements = Math.max(next, trainedElements);
  }

  private static long multipleOf(long multiple, long elements) {
    return (elements + multiple - 1) / multiple * multiple;
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

  /** Adds a range behind those noted so far, to the last of them where it goes on there. */
  private void note(Sharing sharing, Range range) {
    List<Range> noted = ranges.computeIfAbsent(sharing, s -> new ArrayList<>());
    Range last = noted.isEmpty() ? null : noted.getLast();
    if (last != null && last.first() + last.count() == range.first()) {
      noted.set(noted.size() - 1, new Range(last.first(), last.count() + range.count()));
    } else {
      noted.add(range);
    }
  }

  /** Where the trained parameters of a kind lie, their gaps included: two ranges at most. */
  public List<Range> ranges(Sharing sharing) {
    return List.copyOf(ranges.getOrDefault(sharing, List.of()));
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
