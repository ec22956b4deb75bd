package io.panatron.runtime.checkpoint;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/** How the tensors of a file differ from those a model needs: all differences, not the first. */
record WeightMismatch(
    List<String> missing, List<String> unknown, List<String> misshaped, List<String> untied) {

  /** What transformers drops as well: buffers that older versions saved with the weights. */
  private static final Pattern HARMLESS =
      Pattern.compile(
          ".*(rotary_emb\\.(inv_freq|cos_cached|sin_cached)|\\.position_ids|\\.masked_bias|\\.attn\\.bias)");

  static WeightMismatch between(
      Map<String, SafetensorsTensor> found,
      Map<String, long[]> expected,
      Map<String, String> tied) {
    WeightMismatch mismatch =
        new WeightMismatch(
            new ArrayList<>(), new ArrayList<>(), new ArrayList<>(), new ArrayList<>());
    expected.forEach((name, shape) -> {
      SafetensorsTensor tensor = found.get(name);
      if (tensor == null) {
        mismatch.missing.add(name);
      } else {
        mismatch.compare(tensor, shape);
      }
    });
    found.forEach((name, tensor) -> {
      String first = tied.get(name);
      if (expected.containsKey(name) || HARMLESS.matcher(name).matches()) {
        return;
      }
      if (first == null) {
        mismatch.unknown.add(name);
      } else if (!sameBytes(tensor, found.get(first))) {
        mismatch.untied.add(name + " differs from " + first);
      }
    });
    return mismatch;
  }

  private void compare(SafetensorsTensor tensor, long[] shape) {
    boolean floating =
        switch (tensor.dtype()) {
          case F16, BF16, F32, F64 -> true;
          default -> false;
        };
    if (!Arrays.equals(tensor.shape(), shape)) {
      misshaped.add(
          "%s is %s instead of %s"
              .formatted(tensor.name(), Arrays.toString(tensor.shape()), Arrays.toString(shape)));
    } else if (!floating) {
      misshaped.add("%s is %s".formatted(tensor.name(), tensor.dtype()));
    }
  }

  private static boolean sameBytes(SafetensorsTensor tensor, @Nullable SafetensorsTensor first) {
    return first != null
        && tensor.dtype() == first.dtype()
        && Arrays.equals(tensor.shape(), first.shape())
        && tensor.data().mismatch(first.data()) == -1;
  }

  boolean isEmpty() {
    return missing.isEmpty() && unknown.isEmpty() && misshaped.isEmpty() && untied.isEmpty();
  }

  /** All differences as one clause, at most {@code limit} names of each kind. */
  String describe(int limit) {
    List<String> parts = new ArrayList<>();
    add(parts, missing, "missing", limit);
    add(parts, unknown, "not part of the model", limit);
    add(parts, misshaped, "of a wrong shape or type", limit);
    add(parts, untied, "not tied although tie_word_embeddings is true", limit);
    return String.join("; ", parts);
  }

  private static void add(List<String> parts, List<String> names, String what, int limit) {
    if (!names.isEmpty()) {
      parts.add(names.size() + " " + what + " (" + listed(names, limit) + ")");
    }
  }

  /** The first names, and how many more there are. */
  static String listed(Iterable<String> names, int limit) {
    StringBuilder text = new StringBuilder();
    int count = 0;
    for (String name : names) {
      if (count < limit) {
        text.append(count == 0 ? "" : ", ").append(name);
      }
      count++;
    }
    return count > limit ? text + " and " + (count - limit) + " more" : text.toString();
  }
}
