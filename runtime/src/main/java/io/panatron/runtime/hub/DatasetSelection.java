package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import io.panatron.runtime.data.source.DataFormat;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.EnumMap;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * Which files of a data set's repository are its training rows, as the {@code datasets} library
 * chooses for repositories without a script: by the {@code configs} in the head of README.md, else
 * by the names of files and folders.
 *
 * <p>Source: datasets' {@code data_files.py}; the split is {@code train}, the only one that
 * Megatron-SWIFT takes of a data set that it does not know.
 */
final class DatasetSelection {
  static final String CARD = "README.md";

  private static final String BORDER = "(?:^|[ ._/\\-0-9])";
  private static final String END = "(?:$|[ ._/\\-0-9])";
  private static final Pattern TRAIN =
      Pattern.compile(BORDER + "(?:train|training)" + END, Pattern.CASE_INSENSITIVE);
  private static final Pattern OTHER =
      Pattern.compile(
          BORDER + "(?:validation|valid|dev|val|test|testing|eval|evaluation)" + END,
          Pattern.CASE_INSENSITIVE);
  private static final Pattern SHARD =
      Pattern.compile("data/([A-Za-z0-9_.]+)-[0-9]{5}-of-[0-9]+[^/]*");
  private static final Pattern NO_DATA =
      Pattern.compile(
          "(?:.*/)?(?:README\\.md|[^/]*README[^/]*|LICENSE[^/]*|requirements\\.txt|config\\.json"
              + "|dataset_infos?\\.json|dataset_dict\\.json|state\\.json|metadata\\.jsonl)");

  private final HubRepository repository;
  private final List<HubFile> files;

  DatasetSelection(HubRepository repository, List<HubFile> files) {
    this.repository = repository;
    this.files = files.stream().sorted(Comparator.comparing(HubFile::path)).toList();
  }

  /**
   * The files of the training split, in order.
   *
   * @param card what README.md says; null without one
   * @param subset a configuration, or a folder where the card has none; null for the default
   * @throws UserError where there is no such configuration, or no file of a known format
   */
  List<HubFile> training(@Nullable DatasetCard card, @Nullable String subset) {
    List<DatasetCard.Config> configs = card == null ? List.of() : card.configs();
    if (configs.isEmpty()) {
      return ofOneFormat(inferred(subset == null ? "" : subset + "/"), subset);
    }
    DatasetCard.Config config = chosen(configs, subset);
    String folder = config.dataDir() == null ? "" : config.dataDir() + "/";
    if (config.trainPatterns() == null) {
      return ofOneFormat(inferred(folder), subset);
    }
    List<HubFile> matched = new ArrayList<>();
    for (String pattern : config.trainPatterns()) {
      Pattern glob = glob(folder + pattern);
      for (HubFile file : files) {
        if (glob.matcher(file.path()).matches() && !matched.contains(file)) {
          matched.add(file);
        }
      }
    }
    if (matched.isEmpty()) {
      throw new UserError(
          "%s on the hub has no training file: %s in its README.md matches none; give another data set or subset."
              .formatted(repository.id(), String.join(", ", config.trainPatterns())));
    }
    return ofOneFormat(matched, subset);
  }

  private DatasetCard.Config chosen(List<DatasetCard.Config> configs, @Nullable String subset) {
    List<String> names = configs.stream().map(DatasetCard.Config::name).toList();
    for (DatasetCard.Config config : configs) {
      if (config.name().equals(subset)) {
        return config;
      }
    }
    if (subset != null) {
      throw new UserError(
          "%s on the hub has no subset %s; it has %s."
              .formatted(repository.id(), subset, String.join(", ", names)));
    }
    if (configs.size() == 1) {
      return configs.getFirst();
    }
    for (DatasetCard.Config config : configs) {
      if (config.isDefault() || config.name().equals("default")) {
        return config;
      }
    }
    throw new UserError(
        "%s on the hub has the subsets %s and none by default; name one as %s:%s."
            .formatted(
                repository.id(), String.join(", ", names), repository.id(), names.getFirst()));
  }

  /** By names: numbered shards in data/, else the word for a split, else everything. */
  private List<HubFile> inferred(String folder) {
    List<HubFile> data =
        files.stream()
            .filter(file -> file.path().startsWith(folder))
            .filter(file -> !isHidden(file.path()) && !NO_DATA.matcher(file.path()).matches())
            .filter(file -> DataFormat.of(Path.of(file.path())) != null)
            .toList();
    if (data.isEmpty()) {
      throw new UserError(
          "%s on the hub has no data files%s; what is read is %s."
              .formatted(
                  repository.id(), folder.isEmpty() ? "" : " in " + folder, DataFormat.NAMES));
    }
    List<HubFile> shards = new ArrayList<>();
    boolean sharded = false;
    for (HubFile file : data) {
      var matcher = SHARD.matcher(file.path().substring(folder.length()));
      if (matcher.matches()) {
        sharded = true;
        if (matcher.group(1).equals("train")) {
          shards.add(file);
        }
      }
    }
    if (sharded) {
      return required(shards);
    }
    for (boolean byFolder : new boolean[] {true, false}) {
      List<HubFile> training = new ArrayList<>();
      boolean split = false;
      for (HubFile file : data) {
        String path = file.path().substring(folder.length());
        int slash = path.lastIndexOf('/');
        String looked =
            byFolder ? path.substring(0, Math.max(slash, 0)) : path.substring(slash + 1);
        boolean train = TRAIN.matcher(looked).find();
        split |= train || OTHER.matcher(looked).find();
        if (train) {
          training.add(file);
        }
      }
      if (split) {
        return required(training);
      }
    }
    return data;
  }

  private List<HubFile> required(List<HubFile> training) {
    if (training.isEmpty()) {
      throw new UserError(
          "%s on the hub has no split named train; fetch its files and give them by name."
              .formatted(repository.id()));
    }
    return training;
  }

  private static boolean isHidden(String path) {
    for (String part : path.split("/", -1)) {
      if (part.startsWith(".") || part.startsWith("__")) {
        return true;
      }
    }
    return false;
  }

  /** The format that most files have; the library reads one, too. */
  private List<HubFile> ofOneFormat(List<HubFile> chosen, @Nullable String subset) {
    Map<DataFormat, List<HubFile>> byFormat = new EnumMap<>(DataFormat.class);
    List<String> unknown = new ArrayList<>();
    for (HubFile file : chosen) {
      DataFormat format = DataFormat.of(Path.of(file.path()));
      if (format == null) {
        unknown.add(file.path());
      } else {
        byFormat
            .computeIfAbsent(
                format == DataFormat.JSON ? DataFormat.JSONL : format, f -> new ArrayList<>())
            .add(file);
      }
    }
    if (byFormat.isEmpty()) {
      throw new UserError(
          "%s%s on the hub has its rows in %s, which is not read; what is read is %s."
              .formatted(
                  repository.id(),
                  subset == null ? "" : ":" + subset,
                  unknown.isEmpty() ? "no file" : unknown.getFirst(),
                  DataFormat.NAMES));
    }
    List<HubFile> most = List.of();
    for (List<HubFile> group : byFormat.values()) {
      most = group.size() > most.size() ? group : most;
    }
    return most;
  }

  /** A pattern of the shell with ** over folders, as fsspec reads it. */
  static Pattern glob(String pattern) {
    String text = pattern.startsWith("./") ? pattern.substring(2) : pattern;
    StringBuilder regex = new StringBuilder();
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (text.startsWith("**/", i)) {
        regex.append("(?:.*/)?");
        i += 2;
      } else if (text.startsWith("**", i)) {
        regex.append(".*");
        i++;
      } else if (c == '*') {
        regex.append("[^/]*");
      } else if (c == '?') {
        regex.append("[^/]");
      } else if (c == '[' && text.indexOf(']', i) > i) {
        int end = text.indexOf(']', i);
        String set = text.substring(i + 1, end).replace("\\", "\\\\").replace("[", "\\[");
        regex.append('[').append(set.startsWith("!") ? "^" + set.substring(1) : set).append(']');
        i = end;
      } else {
        regex.append(Pattern.quote(String.valueOf(c)));
      }
    }
    return Pattern.compile(regex.toString());
  }
}
