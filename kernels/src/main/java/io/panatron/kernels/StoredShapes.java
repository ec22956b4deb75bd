package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.sameCount;

import java.util.EnumSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/** What {@link Backend#adamWStored} demands of its tensors. */
public final class StoredShapes {
  private static final String OPERATION = "adamWStored";
  private static final Set<DType> GRADIENTS = EnumSet.of(DType.F32, DType.BF16);
  private static final Set<DType> PARAMETERS = EnumSet.of(DType.F32, DType.F16, DType.I16);
  private static final Set<DType> MOMENTS =
      EnumSet.of(DType.F32, DType.BF16, DType.F16, DType.F8_E4M3);

  private StoredShapes() {}

  /**
   * Checks dtypes and element counts.
   *
   * @throws IllegalArgumentException naming the tensor that does not fit
   */
  public static void adamW(
      StoredTensor parameter,
      Tensor gradient,
      StoredTensor firstMoment,
      StoredTensor secondMoment,
      @Nullable Tensor model) {
    Tensor values = parameter.values();
    oneOf("parameter", values, PARAMETERS);
    oneOf("gradient", gradient, GRADIENTS);
    oneOf("firstMoment", firstMoment.values(), MOMENTS);
    oneOf("secondMoment", secondMoment.values(), MOMENTS);
    sameCount(OPERATION, "gradient", gradient, "parameter", values);
    sameCount(OPERATION, "firstMoment", firstMoment.values(), "parameter", values);
    sameCount(OPERATION, "secondMoment", secondMoment.values(), "parameter", values);
    if (model != null) {
      sameCount(OPERATION, "model", model, "parameter", values);
      oneOf("model", model, EnumSet.of(DType.F32, DType.BF16, DType.F16));
    }
    if (values.dtype() == DType.I16 && (model == null || model.dtype() != DType.BF16)) {
      throw new IllegalArgumentException(
          OPERATION + ": parameter is " + values + " and needs a BF16 model, not " + model);
    }
  }

  private static void oneOf(String name, Tensor tensor, Set<DType> allowed) {
    if (!allowed.contains(tensor.dtype())) {
      throw new IllegalArgumentException(
          OPERATION + ": " + name + " is " + tensor + " and must be one of " + allowed);
    }
  }
}
