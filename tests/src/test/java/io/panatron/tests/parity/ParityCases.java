package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import java.lang.reflect.Method;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import java.util.stream.Stream;

/**
 * All cases of the parity suite; a backend under construction runs those of the operations it has.
 */
final class ParityCases {
  private ParityCases() {}

  static List<ParityCase> all(DType dtype) {
    return Stream.of(
            ElementwiseParity.cases(dtype),
            CopyParity.cases(dtype),
            DropoutParity.cases(dtype),
            LinearParity.cases(dtype),
            LowRankParity.cases(dtype),
            EmbeddingParity.cases(dtype),
            RmsNormParity.cases(dtype),
            LayerNormParity.cases(dtype),
            SplitHeadsParity.cases(dtype),
            AttentionParity.cases(dtype),
            SwigluParity.cases(dtype),
            ActivationParity.cases(dtype),
            LinearCrossEntropyParity.cases(dtype),
            PartialVocabularyParity.cases(dtype),
            OptimizerParity.cases(dtype),
            StoredAdamWParity.cases(dtype))
        .flatMap(List::stream)
        .toList();
  }

  /** The cases of one operation, by the name of its method in {@link Backend}. */
  static List<ParityCase> of(String operation, DType dtype) {
    return all(dtype).stream().filter(c -> c.operation().equals(operation)).toList();
  }

  /** The names of all operations that compute: every method of {@link Backend} but three. */
  static Set<String> operations() {
    Set<String> names =
        Arrays.stream(Backend.class.getMethods())
            .map(Method::getName)
            .collect(Collectors.toCollection(TreeSet::new));
    names.removeAll(Set.of("device", "computesIn", "close"));
    return names;
  }
}
