package io.panatron.tests.parity;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.DynamicContainer;
import org.junit.jupiter.api.DynamicTest;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestFactory;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.api.TestInstance.Lifecycle;

/** The suite that every backend passes; a subclass names the backend and its dtypes. */
@TestInstance(Lifecycle.PER_CLASS)
abstract class BackendParity {
  private final Backend backend = open();

  /** The backend to test, opened once for the class. */
  abstract Backend open();

  /** The dtypes it computes in. */
  abstract List<DType> dtypes();

  @BeforeAll
  void takesTheDtypesItClaims() {
    for (DType dtype : dtypes()) {
      assertThat(backend.computesIn(dtype)).as("computes in %s", dtype).isTrue();
    }
  }

  @AfterAll
  void close() {
    backend.close();
  }

  @TestFactory
  Stream<DynamicContainer> agreesWithTheReference() {
    return dtypes().stream()
        .flatMap(dtype ->
            ParityCases.operations().stream().map(operation -> container(operation, dtype)));
  }

  private DynamicContainer container(String operation, DType dtype) {
    return DynamicContainer.dynamicContainer(
        operation + " " + dtype,
        ParityCases.of(operation, dtype).stream()
            .map(c -> DynamicTest.dynamicTest(c.name(), () -> c.run(backend))));
  }

  @Test
  void everyOperationOfTheContractHasCases() {
    for (DType dtype : dtypes()) {
      for (String operation : ParityCases.operations()) {
        List<ParityCase> cases = ParityCases.of(operation, dtype);
        assertThat(cases).as("parity cases of %s in %s", operation, dtype).isNotEmpty();
        Set<String> called = new TreeSet<>();
        cases.getFirst().run(OverridingBackend.recording(backend, called));
        assertThat(called).as("operations called by a case of %s", operation).contains(operation);
      }
    }
  }

  @Test
  void everyCaseNamesAnOperationOfTheContract() {
    for (DType dtype : dtypes()) {
      assertThat(ParityCases.all(dtype))
          .extracting(ParityCase::operation)
          .isSubsetOf(ParityCases.operations());
    }
  }
}
