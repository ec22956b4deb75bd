package io.panatron.kernels;

import io.panatron.kernels.Backend.HeadNorm;
import org.jspecify.annotations.Nullable;

/** The single conditions of which {@link OperationShapes} is made, and how their failures read. */
final class TensorChecks {
  private TensorChecks() {}

  static long leading(String operation, String name, Tensor tensor, int rank) {
    if (tensor.shape().rank() != rank) {
      throw new IllegalArgumentException(
          operation + ": " + name + " is " + tensor + " and must have " + rank + " axes");
    }
    return tensor.shape().extent(0);
  }

  static void floating(String operation, String name, Tensor tensor) {
    if (!tensor.dtype().isFloating()) {
      throw new IllegalArgumentException(
          operation + ": " + name + " is " + tensor + " and must be floating");
    }
  }

  static void sameCount(
      String operation, String name, Tensor tensor, String otherName, Tensor other) {
    if (tensor.elements() != other.elements()) {
      throw new IllegalArgumentException(
          operation
              + ": "
              + name
              + " is "
              + tensor
              + ", "
              + otherName
              + " is "
              + other
              + "; they must have equally many elements");
    }
  }

  static void like(String operation, String name, Tensor tensor, Tensor other) {
    if (tensor.dtype() != other.dtype() || !tensor.shape().equals(other.shape())) {
      throw wrong(operation, name, tensor, other.toString());
    }
  }

  static void vector(String operation, String name, Tensor tensor, DType dtype, long extent) {
    Shape shape = tensor.shape();
    if (tensor.dtype() != dtype || shape.rank() != 1 || shape.extent(0) != extent) {
      throw wrong(operation, name, tensor, dtype + "[" + extent + "]");
    }
  }

  static void optionalVector(
      String operation,
      String name,
      @Nullable Tensor tensor,
      @Nullable HeadNorm norm,
      DType dtype,
      long extent) {
    if ((tensor == null) != (norm == null)) {
      throw new IllegalArgumentException(
          operation
              + ": "
              + name
              + " is "
              + tensor
              + " and the head norm is "
              + (norm == null ? "absent" : "given")
              + "; give both or neither");
    }
    if (tensor != null) {
      vector(operation, name, tensor, dtype, extent);
    }
  }

  /** The gradient of a head norm's weight, which may be missing although there is a norm. */
  static void gradientVector(
      String operation,
      String name,
      @Nullable Tensor tensor,
      @Nullable HeadNorm norm,
      DType dtype,
      long extent) {
    if (tensor != null) {
      optionalVector(operation, name, tensor, norm, dtype, extent);
    }
  }

  static void matrix(
      String operation, String name, Tensor tensor, DType dtype, long rows, long columns) {
    Shape shape = tensor.shape();
    if (tensor.dtype() != dtype
        || shape.rank() != 2
        || shape.extent(0) != rows
        || shape.extent(1) != columns) {
      throw wrong(operation, name, tensor, dtype + "[" + rows + ", " + columns + "]");
    }
  }

  static void cube(
      String operation, String name, Tensor tensor, DType dtype, long rows, long heads, long dim) {
    Shape shape = tensor.shape();
    if (tensor.dtype() != dtype
        || shape.rank() != 3
        || shape.extent(0) != rows
        || shape.extent(1) != heads
        || shape.extent(2) != dim) {
      throw wrong(operation, name, tensor, dtype + "[" + rows + ", " + heads + ", " + dim + "]");
    }
  }

  private static IllegalArgumentException wrong(
      String operation, String name, Tensor tensor, String expected) {
    return new IllegalArgumentException(
        operation + ": " + name + " is " + tensor + " and must be " + expected);
  }
}
