package io.panatron.tests.architecture;

import static org.assertj.core.api.Assertions.assertThat;

import com.tngtech.archunit.core.domain.JavaClasses;
import com.tngtech.archunit.core.domain.JavaCodeUnit;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaMethodCall;
import com.tngtech.archunit.core.importer.ClassFileImporter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

/** The methods that {@code java.options} names to the compiler are those with vector loops. */
@NullMarked
class JavaOptionsTest {
  private static final String KERNELS = "io.panatron.kernels.cpu";
  private static final String NO_INLINING = "-XX:CompileCommand=dontinline," + KERNELS + ".";
  private static final String EARLY = "-XX:CompileCommand=CompileThresholdScaling," + KERNELS + ".";
  private static final String WAITING = "-XX:CompileCommand=BackgroundCompilation," + KERNELS + ".";
  private static final Path OPTIONS =
      Path.of("..", "cli", "src", "main", "resources", "io", "panatron", "cli", "java.options");

  /** Vectors pass through these; they must be inlined. */
  private static final Set<String> INLINED =
      Set.of("TileRows::load", "TileRows::store", "VectorMath::sum");

  /** They choose between vector loops by dtype, or copy runs. */
  private static final Set<String> CHOOSING =
      Set.of("RowAccess::read", "RowAccess::write", "TileRows::read", "TileRows::write");

  private final JavaClasses kernels = new ClassFileImporter().importPackages(KERNELS);

  @Test
  void everyVectorLoopIsCompiledEarlyAndOnce() throws IOException {
    Set<String> expected =
        kernels.stream()
            .flatMap(type -> type.getMethods().stream())
            .filter(JavaOptionsTest::usesVectors)
            .map(JavaOptionsTest::name)
            .filter(name -> !INLINED.contains(name))
            .collect(Collectors.toCollection(TreeSet::new));
    expected.addAll(CHOOSING);

    assertThat(named(NO_INLINING)).isEqualTo(expected);
    assertThat(named(EARLY)).isEqualTo(expected);
    assertThat(named(WAITING)).isEqualTo(expected);
  }

  /** All but those that few runs use, which are compiled when a step first calls them. */
  @Test
  void everyVectorLoopIsRunBeforeTheFirstStep() throws IOException {
    Set<String> run = new TreeSet<>();
    addCalled(kernels.get(KERNELS + ".EarlyCompilation").getMethods(), run);

    Set<String> missing = named(EARLY);
    missing.removeAll(run);
    assertThat(missing)
        .containsExactlyInAnyOrder(
            "ActivationRows::cubic",
            "ActivationRows::normal",
            "ActivationRows::normalGradient",
            "ActivationRows::rectify",
            "ActivationRows::rectifyGradient",
            "ActivationRows::sigmoid",
            "ActivationRows::sigmoidGradient",
            "ActivationRows::squares",
            "CpuDropout::multiply",
            "CpuLayerNorm::subtractMean",
            "CpuOptimizer::sgdRow",
            "DropoutRows::words",
            "PairRows::turn",
            "SoftmaxRows::droppedGradients",
            "SoftmaxRows::multiply",
            "StoredRows::join",
            "StoredRows::largest",
            "StoredRows::split");
  }

  @Test
  void everyExceptionExists() {
    Set<String> all =
        kernels.stream()
            .flatMap(type -> type.getMethods().stream())
            .map(JavaOptionsTest::name)
            .collect(Collectors.toSet());

    assertThat(all).containsAll(INLINED).containsAll(CHOOSING);
  }

  private static void addCalled(Set<JavaMethod> callers, Set<String> names) {
    for (JavaMethod caller : callers) {
      for (JavaMethodCall call : caller.getMethodCallsFromSelf()) {
        Set<JavaMethod> called =
            call.getTarget().resolveMember().stream()
                .filter(method -> method.getOwner().getPackageName().equals(KERNELS))
                .filter(method -> !method.equals(caller))
                .collect(Collectors.toSet());
        called.forEach(method -> names.add(name(method)));
        addCalled(called, names);
      }
    }
  }

  private static Set<String> named(String prefix) throws IOException {
    List<String> lines = Files.readAllLines(OPTIONS);
    return lines.stream()
        .filter(line -> line.startsWith(prefix))
        .map(line -> line.substring(prefix.length()).split(",", 2)[0])
        .collect(Collectors.toCollection(TreeSet::new));
  }

  private static boolean usesVectors(JavaMethod method) {
    return method.getMethodCallsFromSelf().stream()
        .anyMatch(call -> {
          String owner = call.getTargetOwner().getFullName();
          boolean loads = owner.equals(KERNELS + ".TileRows") && call.getName().equals("load");
          return loads || owner.matches("jdk\\.incubator\\.vector\\.\\w+Vector");
        });
  }

  private static String name(JavaCodeUnit method) {
    return method.getOwner().getSimpleName() + "::" + method.getName();
  }
}
