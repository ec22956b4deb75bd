package io.panatron.tests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.lang.ArchRule;
import java.util.Map;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;

class WallsTest {
  private static final String HOUSE = "io.panatron";
  private static final String BROKEN_HOUSE = "io.panatron.tests.architecture.fixture";

  private static final JavaClasses CLASSES =
      new ClassFileImporter()
          .withImportOption(new ImportOption.DoNotIncludeTests())
          .importPackages(HOUSE);

  private static final JavaClasses BROKEN_CLASSES =
      new ClassFileImporter().importPackages(BROKEN_HOUSE);

  private static final Map<String, ArchRule> RULES = new Walls(HOUSE).rules();
  private static final Map<String, ArchRule> RULES_OF_BROKEN = new Walls(BROKEN_HOUSE).rules();

  private static Stream<String> names() {
    return RULES.keySet().stream();
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("names")
  void theHouseKeepsTheRule(String name) {
    RULES.get(name).check(CLASSES);
  }

  @ParameterizedTest(name = "{0}")
  @MethodSource("names")
  void theRuleFindsABreach(String name) {
    assertThat(RULES_OF_BROKEN.get(name).evaluate(BROKEN_CLASSES).hasViolation()).isTrue();
  }

  @Test
  void theRulesSeeEveryModule() {
    assertThat(CLASSES.stream().map(JavaClass::getPackageName))
        .anyMatch(p -> p.startsWith("io.panatron.bindings"))
        .anyMatch(p -> p.startsWith("io.panatron.kernels"))
        .anyMatch(p -> p.startsWith("io.panatron.runtime"))
        .anyMatch(p -> p.startsWith("io.panatron.cli"))
        .noneMatch(p -> p.startsWith("io.panatron.tests"));
  }

  @Test
  void generatedCodeIsFreeOfStyleRulesOnly() {
    String generated = BROKEN_HOUSE + ".bindings.onednn.generated.Generated";

    assertThat(reports("no memory is left to the garbage collector", generated)).isFalse();
    assertThat(reports("no static state", generated)).isFalse();
    assertThat(reports("bindings sees only the modules below it", generated)).isTrue();
  }

  private static boolean reports(String rule, String className) {
    return RULES_OF_BROKEN
        .get(rule)
        .evaluate(BROKEN_CLASSES)
        .getFailureReport()
        .getDetails()
        .stream()
        .anyMatch(detail -> detail.contains(className));
  }
}
