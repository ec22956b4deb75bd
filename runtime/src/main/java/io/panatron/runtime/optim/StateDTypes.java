package io.panatron.runtime.optim;

import io.panatron.kernels.DType;
import io.panatron.runtime.UserError;
import org.jspecify.annotations.Nullable;

/**
 * What the optimizer stores in which dtype: {@code --use_precision_aware_optimizer} and the four
 * dtypes it allows. F32 stands for the accumulator of the compute dtype.
 *
 * @param precisionAware whether anything may be stored otherwise than in the accumulator dtype
 * @param gradients F32 or BF16
 * @param parameters F32 or F16; of main parameters
 * @param firstMoment F32, F16, BF16 or F8_E4M3
 * @param secondMoment F32, F16, BF16 or F8_E4M3
 */
public record StateDTypes(
    boolean precisionAware,
    DType gradients,
    DType parameters,
    DType firstMoment,
    DType secondMoment) {

  /** Everything in the accumulator dtype. */
  public static final StateDTypes DEFAULT =
      new StateDTypes(false, DType.F32, DType.F32, DType.F32, DType.F32);

  /** The dtype of parameter gradients. */
  public DType gradients(DType compute) {
    return gradients == DType.F32 ? compute.accumulator() : gradients;
  }

  /**
   * The dtype of main parameters, null where the model's own values are these. I16 where a BF16
   * model holds the upper halves of F32.
   */
  public @Nullable DType parameters(DType compute) {
    if (compute == compute.accumulator()) {
      return null;
    }
    boolean remainders = precisionAware && compute == DType.BF16 && parameters == DType.F32;
    return remainders ? DType.I16 : parameters;
  }

  /** The dtype of a moment. */
  DType moment(String name, DType compute) {
    DType dtype = name.equals("exp_avg") ? firstMoment : secondMoment;
    return dtype == DType.F32 || !precisionAware ? compute.accumulator() : dtype;
  }

  /** Whether any state is stored otherwise than in the accumulator dtype. */
  boolean isNarrow(DType compute) {
    DType main = parameters(compute);
    return gradients(compute) != compute.accumulator()
        || (main != null && main != compute.accumulator())
        || moment("exp_avg", compute) != compute.accumulator()
        || moment("exp_avg_sq", compute) != compute.accumulator();
  }

  /**
   * Refuses what the compute dtype contradicts.
   *
   * @throws UserError for float16 main parameters of a model that has none
   */
  public void requireFor(DType compute) {
    if (parameters == DType.F16 && compute == compute.accumulator()) {
      throw new UserError(
          "--main_params_dtype fp16 is for a model trained in bfloat16 or float16; a float32 model's"
              + " own parameters are its main parameters, so drop it.");
    }
  }
}
