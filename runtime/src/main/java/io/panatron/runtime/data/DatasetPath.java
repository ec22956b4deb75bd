package io.panatron.runtime.data;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;

/**
 * One value of {@code --dataset}: a JSONL file, or a folder of them, maybe with {@code #count}.
 *
 * @param files the JSONL files, in order of their names
 * @param count rows to draw, -1 for all as they are
 */
record DatasetPath(String given, List<Path> files, long count) {

  static DatasetPath parse(String option, String given) {
    String name = given;
    long count = -1;
    int hash = given.lastIndexOf('#');
    if (hash >= 0 && !Files.exists(path(option, given))) {
      name = given.substring(0, hash);
      String number = given.substring(hash + 1);
      if (!number.matches("[0-9]{1,9}") || Integer.parseInt(number) == 0) {
        throw new UserError(
            option + " " + given + " has '" + number + "' where a number of rows from 1 belongs");
      }
      count = Long.parseLong(number);
    }
    Path path = path(option, name);
    if (Files.isDirectory(path)) {
      return new DatasetPath(given, folder(option, path), count);
    }
    if (!Files.exists(path)) {
      throw new UserError(
          option
              + " "
              + given
              + " does not exist; give a local .jsonl file or a folder of them, since data sets of a"
              + " hub are not supported yet");
    }
    if (!path.toString().endsWith(".jsonl")) {
      throw new UserError(
          option + " " + given + " is not a .jsonl file, the only format supported so far");
    }
    return new DatasetPath(given, List.of(path), count);
  }

  private static Path path(String option, String name) {
    try {
      return Path.of(name);
    } catch (InvalidPathException e) {
      throw new UserError(option + " " + name + " is not a path: " + e.getReason(), e);
    }
  }

  private static List<Path> folder(String option, Path folder) {
    try (Stream<Path> all = Files.list(folder)) {
      List<Path> files = all.filter(f -> f.toString().endsWith(".jsonl")).sorted().toList();
      if (files.isEmpty()) {
        throw new UserError(option + " " + folder + " is a folder without .jsonl files");
      }
      return files;
    } catch (IOException e) {
      throw new UserError(option + " " + folder + " cannot be listed (" + e + ")", e);
    }
  }
}
