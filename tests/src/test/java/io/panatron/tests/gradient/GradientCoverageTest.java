package io.panatron.tests.gradient;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;

/** Holds the list of gradient tests against the contract. */
final class GradientCoverageTest {
  @Test
  void everyBackwardOperationIsCheckedByFiniteDifferences() {
    Set<String> backward =
        Arrays.stream(Backend.class.getMethods())
            .map(Method::getName)
            .filter(name -> name.contains("Backward"))
            .collect(Collectors.toCollection(TreeSet::new));
    Set<String> checked =
        Stream.of(
                LinearGradientTest.class,
                LowRankGradientTest.class,
                NormGradientTest.class,
                AttentionGradientTest.class,
                LossGradientTest.class,
                PartialVocabularyGradientTest.class)
            .flatMap(type -> Arrays.stream(type.getDeclaredMethods()))
            .filter(method -> method.isAnnotationPresent(GradientOf.class))
            .map(method -> method.getAnnotation(GradientOf.class).value())
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(checked).isEqualTo(backward);
  }
}
