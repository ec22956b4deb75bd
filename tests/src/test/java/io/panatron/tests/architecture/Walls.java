package io.panatron.tests.architecture;

import static com.tngtech.archunit.base.DescribedPredicate.describe;
import static com.tngtech.archunit.base.DescribedPredicate.not;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAPackage;
import static com.tngtech.archunit.core.domain.JavaClass.Predicates.resideInAnyPackage;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.classes;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noFields;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noMethods;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.base.DescribedPredicate;
import com.tngtech.archunit.core.domain.JavaCall;
import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaField;
import com.tngtech.archunit.core.domain.JavaModifier;
import com.tngtech.archunit.core.domain.properties.HasName;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.lang.foreign.Arena;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.SymbolLookup;
import java.lang.ref.Cleaner;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentMap;
import org.jspecify.annotations.NullMarked;

/**
 * The rules of the house that javac does not hold, by name. They speak about the packages below a
 * root, so that the same rules can be tried on a small house that breaks them all.
 */
final class Walls {
  /** What a class of each module may see of the others; the JDK and libraries are module-info's. */
  private static final Map<String, Set<String>> SEES =
      Map.of(
          "bindings", Set.of("bindings"),
          "kernels", Set.of("kernels", "bindings"),
          "runtime", Set.of("runtime", "kernels"),
          "cli", Set.of("cli", "runtime", "kernels", "bindings"));

  /** Static fields of these types hold state even when they are final. */
  private static final List<String> MUTABLE_TYPES =
      List.of(
          "java.lang.ThreadLocal",
          "java.util.ArrayList",
          "java.util.HashMap",
          "java.util.HashSet",
          "java.util.IdentityHashMap",
          "java.util.LinkedHashMap",
          "java.util.WeakHashMap");

  private static final Set<String> PROPERTY_READERS =
      Set.of(
          "java.lang.System.getProperty",
          "java.lang.System.getProperties",
          "java.lang.System.setProperty",
          "java.lang.Integer.getInteger",
          "java.lang.Long.getLong",
          "java.lang.Boolean.getBoolean");

  private final String root;

  Walls(String root) {
    this.root = root;
  }

  /** All rules; the names are the names of the tests. */
  Map<String, ArchRule> rules() {
    Map<String, ArchRule> rules = new TreeMap<>();
    for (String module : SEES.keySet()) {
      rules.put(module + " sees only the modules below it", seesOnlyBelow(module));
    }
    rules.put("runtime and cli see kernels through its public packages", publicKernels());
    rules.put("runtime does not choose the backend", noChoiceOfBackend());
    rules.put("cli sees of bindings only the process calls", onlyProcessCalls());
    rules.put("only bindings link native code", onlyBindingsLink());
    rules.put("no memory is left to the garbage collector", noCollectedMemory());
    rules.put("nothing is finalized", noMethods().should().haveName("finalize"));
    rules.put("no static state", noStaticState());
    rules.put("only Main ends the program", onlyMainExits());
    rules.put("runtime names no vendor's library", runtimeNamesNoVendor());
    rules.put("model does not see train", modelDoesNotSeeTrain());
    rules.put("packages of runtime form no cycle", noCycles("runtime"));
    rules.put("packages of kernels form no cycle", noCycles("kernels"));
    rules.put("classes are named after what they are", telltaleNames());
    rules.put("configuration is passed, not looked up", noPropertiesRead());
    rules.put("every package is checked for null", nullMarked());
    // A package may come later than its rule; WallsTest checks that every module was seen.
    rules.replaceAll((name, rule) -> rule.allowEmptyShould(true));
    return rules;
  }

  private ArchRule seesOnlyBelow(String module) {
    DescribedPredicate<JavaClass> hidden =
        describe(
            "classes of other modules than " + SEES.get(module),
            c ->
                moduleOf(c)
                    .filter(m -> !SEES.getOrDefault(module, Set.of()).contains(m))
                    .isPresent());
    return noClasses().that(areIn(module)).should().dependOnClassesThat(hidden);
  }

  /** The module of a class below the root; empty for everybody else's classes. */
  private Optional<String> moduleOf(JavaClass type) {
    String name = type.getPackageName();
    if (!name.startsWith(root + ".")) {
      return Optional.empty();
    }
    return Optional.of(name.substring(root.length() + 1).split("\\.", 2)[0]);
  }

  private ArchRule publicKernels() {
    return noClasses()
        .that(resideInAnyPackage(root + ".runtime..", root + ".cli.."))
        .should()
        .dependOnClassesThat(
            insideKernels().and(not(resideInAPackage(root + ".kernels.backends"))));
  }

  private ArchRule noChoiceOfBackend() {
    return noClasses().that(areIn("runtime")).should().dependOnClassesThat(insideKernels());
  }

  private DescribedPredicate<JavaClass> insideKernels() {
    return describe("are inside kernels", c -> c.getPackageName().startsWith(root + ".kernels."));
  }

  private ArchRule onlyProcessCalls() {
    return noClasses()
        .that(areIn("cli"))
        .should()
        .dependOnClassesThat(
            areIn("bindings").and(not(resideInAPackage(root + ".bindings.posix"))));
  }

  private ArchRule onlyBindingsLink() {
    return noClasses()
        .that(not(areIn("bindings")))
        .should()
        .dependOnClassesThat()
        .belongToAnyOf(Linker.class, SymbolLookup.class)
        .orShould()
        .callMethodWhere(targets(MemorySegment.class, "reinterpret"));
  }

  private ArchRule noCollectedMemory() {
    return noClasses()
        .that(areOurs())
        .should()
        .callMethodWhere(targets(Arena.class, "ofAuto"))
        .orShould()
        .dependOnClassesThat()
        .belongToAnyOf(Cleaner.class);
  }

  private ArchRule noStaticState() {
    DescribedPredicate<JavaField> state =
        describe(
            "static state",
            f ->
                f.getModifiers().contains(JavaModifier.STATIC)
                    && (!f.getModifiers().contains(JavaModifier.FINAL)
                        || f.getRawType().isAssignableTo(ConcurrentMap.class)
                        || f.getRawType().getPackageName().equals("java.util.concurrent.atomic")
                        || MUTABLE_TYPES.contains(f.getRawType().getName())));
    return noFields().that().areDeclaredInClassesThat(areOurs()).should(be(state));
  }

  private ArchRule onlyMainExits() {
    return noClasses()
        .that(describe("are not Main", c -> !c.getName().equals(root + ".cli.Main")))
        .should()
        .callMethodWhere(
            targets(System.class, "exit")
                .or(targets(Runtime.class, "exit"))
                .or(targets(Runtime.class, "halt")));
  }

  private ArchRule runtimeNamesNoVendor() {
    DescribedPredicate<JavaClass> vendor =
        describe(
            "names of vendors' libraries",
            c -> {
              String name = c.getName().toLowerCase(Locale.ROOT);
              return List.of("cuda", "cublas", "cudnn", "nccl", "onednn").stream()
                  .anyMatch(name::contains);
            });
    return noClasses()
        .that(areIn("runtime"))
        .should()
        .dependOnClassesThat(vendor)
        .orShould(be(vendor));
  }

  private ArchRule modelDoesNotSeeTrain() {
    return noClasses()
        .that(areIn("runtime.model"))
        .should()
        .dependOnClassesThat(areIn("runtime.train"));
  }

  private ArchRule noCycles(String module) {
    return slices().matching(root + "." + module + ".(*)..").should().beFreeOfCycles();
  }

  private ArchRule telltaleNames() {
    return noClasses().that(areOurs()).should().haveNameMatching(".*(Util|Utils|Helper|Manager)");
  }

  private ArchRule noPropertiesRead() {
    return noClasses()
        .that(resideInAnyPackage(root + ".runtime..", root + ".kernels.."))
        .and(not(readTheMachine()))
        .should()
        .callMethodWhere(
            describe(
                "reads a system property",
                (JavaCall<?> call) ->
                    PROPERTY_READERS.contains(
                        call.getTargetOwner().getName() + "." + call.getTarget().getName())));
  }

  /** The user's home and the processor, which nobody can pass to a static initializer. */
  private DescribedPredicate<JavaClass> readTheMachine() {
    return describe(
        "unpack a library", c -> c.getName().equals(root + ".runtime.data.TokenizerLibrary"));
  }

  private ArchRule nullMarked() {
    return classes()
        .that(areOurs())
        .should(
            be(
                describe(
                    "in a package marked @NullMarked",
                    (JavaClass c) ->
                        c.getSimpleName().equals("module-info")
                            || c.getPackage().isAnnotatedWith(NullMarked.class))));
  }

  private DescribedPredicate<JavaClass> areIn(String module) {
    return resideInAPackage(root + "." + module + "..");
  }

  /** Everything except what jextract wrote. */
  private DescribedPredicate<JavaClass> areOurs() {
    return not(resideInAPackage(root + ".bindings.onednn.generated.."));
  }

  private static DescribedPredicate<JavaCall<?>> targets(Class<?> owner, String method) {
    return describe(
        owner.getSimpleName() + "." + method,
        call ->
            call.getTarget().getName().equals(method)
                && call.getTargetOwner().isEquivalentTo(owner));
  }

  private static <T extends HasName> ArchCondition<T> be(DescribedPredicate<? super T> predicate) {
    return new ArchCondition<>("be " + predicate.getDescription()) {
      @Override
      public void check(T item, ConditionEvents events) {
        boolean holds = predicate.test(item);
        String name = item instanceof JavaField field ? field.getFullName() : item.getName();
        events.add(
            new SimpleConditionEvent(
                item, holds, name + (holds ? " is " : " is not ") + predicate.getDescription()));
      }
    };
  }
}
