package io.panatron.runtime.nn;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Parameter;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.jspecify.annotations.Nullable;

/**
 * All parameters of a model in one flat buffer, and the gradients of those that are trained in a
 * shorter one of the same layout, so that norms, clipping and updates are a few large operations.
 */
public final class ParameterStore {
  private final FlatLayout layout;
  private final Map<String, Parameter> parameters = new LinkedHashMap<>();
  private final Tensor values;
  private final @Nullable Tensor gradients;

  /**
   * Allocates from the run scope and zeroes everything.
   *
   * @param trained whether gradients are needed
   */
  public ParameterStore(
      Backend backend, MemoryScope run, List<FlatLayout.Spec> specs, DType dtype, boolean trained) {
    this(backend, run, specs, dtype, trained ? dtype.accumulator() : null);
  }

  /**
   * Allocates from the run scope and zeroes everything.
   *
   * @param gradientDType the accumulator of {@code dtype}, or BF16; null if no gradients are needed
   */
  public ParameterStore(
      Backend backend,
      MemoryScope run,
      List<FlatLayout.Spec> specs,
      DType dtype,
      @Nullable DType gradientDType) {
    this(backend, run, new FlatLayout(specs), specs, dtype, gradientDType);
  }

  /**
   * As above, in a layout of these parameters that was made before.
   *
   * @param specs in the order of {@link #all}
   */
  public ParameterStore(
      Backend backend,
      MemoryScope run,
      FlatLayout layout,
      List<FlatLayout.Spec> specs,
      DType dtype,
      @Nullable DType gradientDType) {
    this.layout = layout;
    values = run.allocate("parameters", dtype, layout.elements());
    backend.fill(values, 0);
    long trained = layout.trainedElements();
    if (gradientDType != null) {
      gradients = run.allocate("gradients", gradientDType, trained);
      backend.fill(gradients, 0);
    } else {
      gradients = null;
    }
    for (FlatLayout.Spec spec : specs) {
      Tensor gradient = gradients == null || !spec.trained() ? null : view(gradients, spec.name());
      parameters.put(spec.name(), new Parameter(spec.name(), view(values, spec.name()), gradient));
    }
  }

  /** The parameter of this name. */
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

  /** Those that have gradients, in the order of the specs. */
  public List<Parameter> trained() {
    return parameters.values().stream().filter(Parameter::isTrained).toList();
  }

  /**
   * The part of a flat tensor of this layout that belongs to a parameter; a trained one, if the
   * tensor covers only these.
   */
  public Tensor view(Tensor flat, String name) {
    FlatLayout.Slot slot = layout.slot(name);
    return flat.slice(slot.first(), slot.shape().elements()).reshape(slot.shape().toArray());
  }

  public FlatLayout layout() {
    return layout;
  }

  /** All values, [elements] in the compute dtype. */
  public Tensor values() {
    return values;
  }

  /** All gradients, [trained elements] in the accumulator dtype or in BF16. */
  public Tensor gradients() {
    if (gradients == null) {
      throw new IllegalStateException("these parameters are not trained");
    }
    return gradients;
  }
}
