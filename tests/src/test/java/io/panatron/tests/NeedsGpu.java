package io.panatron.tests;

import java.lang.annotation.ElementType;
import java.lang.annotation.Retention;
import java.lang.annotation.RetentionPolicy;
import java.lang.annotation.Target;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtendWith;
import org.junit.jupiter.api.extension.ExtensionContext;

/** A test that runs with {@code ./trainer test -Pgpu} and is reported as skipped otherwise. */
@Target({ElementType.TYPE, ElementType.METHOD})
@Retention(RetentionPolicy.RUNTIME)
@Tag("gpu")
@ExtendWith(NeedsGpu.Condition.class)
public @interface NeedsGpu {
  /** Reads the parameter that the Maven profile sets. */
  final class Condition implements ExecutionCondition {
    @Override
    public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
      boolean gpu =
          context
              .getConfigurationParameter("panatron.gpu")
              .map(Boolean::parseBoolean)
              .orElse(false);
      return gpu
          ? ConditionEvaluationResult.enabled("the profile gpu is on")
          : ConditionEvaluationResult.disabled("needs a GPU: ./trainer test -Pgpu runs it");
    }
  }
}
