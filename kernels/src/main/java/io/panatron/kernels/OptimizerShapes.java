package io.panatron.kernels;

import static io.panatron.kernels.TensorChecks.floating;
import static io.panatron.kernels.TensorChecks.sameCount;

import org.jspecify.annotations.Nullable;

/** What {@link OperationShapes} checks of an optimizer's tensors. */
final class OptimizerShapes {
  private OptimizerShapes() {}

  static void optimizer(
      String operation, Tensor parameter, Tensor gradient, @Nullable Tensor model) {
    floating(operation, "parameter", parameter);
    if (parameter.dtype() != parameter.dtype().accumulator()) {
      throw new IllegalArgumentException(
          operation + ": parameter is " + parameter + " and must be F32 or F64");
    }
    state(operation, "gradient", gradient, parameter);
    if (model != null) {
      floating(operation, "model", model);
      sameCount(operation, "model", model, "parameter", parameter);
    }
  }

  static void state(String operation, String name, Tensor tensor, Tensor parameter) {
    if (tensor.dtype() != parameter.dtype()) {
      throw new IllegalArgumentException(
          operation
              + ": "
              + name
              + " is "
              + tensor
              + ", parameter is "
              + parameter
              + "; their dtypes must agree");
    }
    sameCount(operation, name, tensor, "parameter", parameter);
  }
}
