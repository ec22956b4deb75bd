package io.panatron.tests.parity;

import io.panatron.kernels.Backend;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.lang.reflect.Proxy;
import java.util.Arrays;
import java.util.HashSet;
import java.util.Set;
import org.jspecify.annotations.Nullable;

/**
 * A backend of which some operations are replaced: by the public methods of an object that have the
 * name and parameters of a {@link Backend} method.
 */
final class OverridingBackend {
  private OverridingBackend() {}

  /**
   * @param base takes all calls that {@code overrides} has no method for
   */
  static Backend of(Backend base, Object overrides) {
    return of(base, overrides, new HashSet<>());
  }

  /** Notes the name of every method called in {@code called}. */
  static Backend recording(Backend base, Set<String> called) {
    return of(base, new Object(), called);
  }

  private static Backend of(Backend base, Object overrides, Set<String> called) {
    return (Backend)
        Proxy.newProxyInstance(
            Backend.class.getClassLoader(),
            new Class<?>[] {Backend.class},
            (proxy, method, arguments) -> {
              called.add(method.getName());
              return invoke(base, overrides, method, arguments);
            });
  }

  private static @Nullable Object invoke(
      Backend base, Object overrides, Method method, Object @Nullable [] arguments)
      throws Throwable {
    Method found =
        Arrays.stream(overrides.getClass().getMethods())
            .filter(m -> m.getName().equals(method.getName()))
            .filter(m -> Arrays.equals(m.getParameterTypes(), method.getParameterTypes()))
            .filter(m -> m.getDeclaringClass() != Object.class)
            .findFirst()
            .orElse(null);
    try {
      if (found == null) {
        return method.invoke(base, arguments);
      }
      found.setAccessible(true);
      return found.invoke(overrides, arguments);
    } catch (InvocationTargetException e) {
      throw e.getCause();
    }
  }
}
