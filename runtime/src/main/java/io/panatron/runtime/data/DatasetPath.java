package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.DataFormat;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * One value of {@code --dataset}: {@code path:subset#count}, where the path is a file or a folder,
 * a subset is a part of a folder, and the count says how many rows to draw.
 *
 * <p>A subset is a folder in the folder, or the files that are named like it: {@code en.jsonl}, or
 * {@code en-00000-of-00002.parquet} and its like.
 *
 * @param files the data files, in order of their names
 * @param count rows to draw, -1 for all as they are
 */
record DatasetPath(String given, List<Path> files, long count) {
  private static final Pattern COUNT = Pattern.compile("[0-9]{1,9}");
  private static final int MAX_SHOWN = 5;

  /** A name and the count after it, -1 for none. */
  private record Counted(String name, long count) {
    static Counted of(String option, String given) {
      int hash = given.lastIndexOf('#');
      if (hash < 0 || Files.exists(path(option, given, given))) {
        return new Counted(given, -1);
      }
      String number = given.substring(hash + 1);
      if (!COUNT.matcher(number).matches() || Integer.parseInt(number) == 0) {
        throw new UserError(
            option + " " + given + " has '" + number + "' where a number of rows from 1 belongs");
      }
      return new Counted(given.substring(0, hash), Long.parseLong(number));
    }
  }

  /**
   * One value of {@code --cached_dataset}: a tokenized file or a folder of them, and a count.
   *
   * @param validation whether of a folder of the token cache the validation data are meant
   */
  static DatasetPath tokenized(String option, String given, boolean validation) {
    Counted counted = Counted.of(option, given);
    Path path = path(option, given, counted.name());
    List<Path> files = List.of(path);
    if (Files.isDirectory(path)) {
      Path own = path.resolve(TokenCache.VALIDATION);
      try (Stream<Path> all = Files.list(validation && Files.isDirectory(own) ? own : path)) {
        files = all.filter(DatasetPath::isTokenFile).sorted().toList();
      } catch (IOException e) {
        throw new UserError(option + " " + given + " cannot be listed (" + e + ")", e);
      }
    }
    if (files.isEmpty() || !Files.exists(files.getFirst())) {
      throw new UserError(
          option
              + " "
              + given
              + " holds no tokenized data; give a "
              + TokenFile.EXTENSION
              + " file, or a folder of them, that a run with --load_from_cache_file true and"
              + " --token_cache left");
    }
    return new DatasetPath(given, files, counted.count());
  }

  private static boolean isTokenFile(Path file) {
    String name = file.getFileName().toString();
    return name.endsWith(TokenFile.EXTENSION) && !name.startsWith(TokenCache.UNFINISHED);
  }

  /** Whether the user named this file and not the folder in which it lies. */
  boolean names(Path file) {
    return given.startsWith(file.toString());
  }

  /** Which files a folder gave, for the user; null if a file was given. */
  @Nullable String describe() {
    if (names(files.getFirst())) {
      return null;
    }
    int shown = Math.min(files.size(), MAX_SHOWN);
    return "Data files        "
        + given
        + " gives "
        + files.subList(0, shown).stream()
            .map(f -> f.getFileName().toString())
            .collect(Collectors.joining(", "))
        + (shown == files.size() ? "" : " and " + (files.size() - shown) + " more");
  }

  /**
   * One value of {@code --dataset}.
   *
   * @param fetched the files of names that are no files or folders here
   */
  static DatasetPath parse(String option, String given, Map<String, List<Path>> fetched) {
    Counted counted = Counted.of(option, given);
    String name = counted.name();
    List<Path> elsewhere = fetched.get(name);
    if (elsewhere != null) {
      return new DatasetPath(given, elsewhere, counted.count());
    }
    String subset = null;
    int colon = name.lastIndexOf(':');
    if (colon > 0 && !Files.exists(path(option, given, name))) {
      subset = name.substring(colon + 1);
      name = name.substring(0, colon);
    }
    return new DatasetPath(
        given, files(option, given, path(option, given, name), subset), counted.count());
  }

  private static List<Path> files(String option, String given, Path path, @Nullable String subset) {
    if (!Files.exists(path)) {
      throw new UserError(
          option
              + " "
              + given
              + " does not exist; give a local file ("
              + DataFormat.NAMES
              + ") or a folder of them, or organisation/name with --use_hf true for a data set of the"
              + " Hugging Face hub");
    }
    if (Files.isDirectory(path)) {
      return folder(option, given, path, subset);
    }
    if (subset != null) {
      throw new UserError(
          option + " " + given + " asks for a subset of a file; only folders have subsets");
    }
    if (DataFormat.of(path) == null) {
      throw new UserError(option + " " + given + " is not " + DataFormat.NAMES);
    }
    return List.of(path);
  }

  private static Path path(String option, String given, String name) {
    try {
      return Path.of(name);
    } catch (InvalidPathException e) {
      throw new UserError(option + " " + given + " is not a path: " + e.getReason(), e);
    }
  }

  private static List<Path> folder(
      String option, String given, Path folder, @Nullable String subset) {
    if (subset != null && subset.matches("[^/]+") && Files.isDirectory(folder.resolve(subset))) {
      return folder(option, given, folder.resolve(subset), null);
    }
    List<Path> files;
    try (Stream<Path> all = Files.list(folder)) {
      files =
          all.filter(f -> DataFormat.of(f) != null && Files.isRegularFile(f))
              .filter(f -> subset == null || isPart(f.getFileName().toString(), subset))
              .sorted()
              .toList();
    } catch (IOException e) {
      throw new UserError(option + " " + given + " cannot be listed (" + e + ")", e);
    }
    if (files.isEmpty()) {
      throw new UserError(
          option
              + " "
              + given
              + (subset == null
                  ? " is a folder without data files (" + DataFormat.NAMES + ")"
                  : " finds neither a folder '"
                      + subset
                      + "' nor data files of that name in "
                      + folder));
    }
    return ofOneFormat(option, given, files);
  }

  private static boolean isPart(String file, String subset) {
    if (!file.startsWith(subset) || file.length() == subset.length()) {
      return false;
    }
    char next = file.charAt(subset.length());
    return next == '.' || next == '-' || next == '_';
  }

  /**
   * The data files of a folder that also holds other things: text files, which may be remarks on
   * the data, give way to those of another format.
   */
  private static List<Path> ofOneFormat(String option, String given, List<Path> files) {
    Set<DataFormat> formats = EnumSet.noneOf(DataFormat.class);
    files.forEach(f -> formats.add(DataFormat.of(f)));
    if (formats.size() > 1) {
      formats.remove(DataFormat.TXT);
    }
    if (formats.size() > 1) {
      List<String> names = new ArrayList<>();
      formats.forEach(f -> names.add(f.extension()));
      throw new UserError(
          option
              + " "
              + given
              + " is a folder with files of several formats ("
              + String.join(", ", names)
              + "); name the files of one of them");
    }
    List<Path> chosen = files.stream().filter(f -> formats.contains(DataFormat.of(f))).toList();
    for (Path file : chosen) {
      Path packed = file.resolveSibling(file.getFileName() + ".gz");
      if (chosen.contains(packed)) {
        throw new UserError(
            option
                + " "
                + given
                + " holds both "
                + file.getFileName()
                + " and "
                + packed.getFileName()
                + ", whose rows would count twice; name the files to use, or move one away");
      }
    }
    return chosen;
  }
}
