package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.net.URLEncoder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/**
 * A model or data set of the hub at a revision.
 *
 * @param id {@code organisation/name}, or the bare name of the hub's oldest ones
 * @param revision a branch, a tag, or the 40 digits of a commit
 */
record HubRepository(Kind kind, String id, String revision) {
  static final String MAIN = "main";

  private static final String NAME = "[A-Za-z0-9](?:[A-Za-z0-9._-]{0,94}[A-Za-z0-9_])?";
  private static final Pattern ID = Pattern.compile("(?:" + NAME + "/)?" + NAME);
  private static final Pattern COMMIT = Pattern.compile("[0-9a-f]{40}");
  private static final Pattern REVISION =
      Pattern.compile("[A-Za-z0-9_][A-Za-z0-9._+@=-]*(?:/[A-Za-z0-9_][A-Za-z0-9._+@=-]*)*");

  /** What a repository holds. */
  enum Kind {
    MODEL("models", ""),
    DATASET("datasets", "datasets/");

    private final String plural;
    private final String prefix;

    Kind(String plural, String prefix) {
      this.plural = plural;
      this.prefix = prefix;
    }
  }

  HubRepository {
    if (!REVISION.matcher(revision).matches() || revision.contains("..")) {
      throw new UserError(
          "--model_revision %s is no branch, tag or commit; write one like main or the 40 digits of a commit."
              .formatted(revision));
    }
  }

  /** Whether a text has the form of a repository's name. */
  static boolean isId(String text) {
    return ID.matcher(text).matches() && !text.contains("--") && !text.contains("..");
  }

  static boolean isCommit(String text) {
    return COMMIT.matcher(text).matches();
  }

  boolean isPinned() {
    return isCommit(revision);
  }

  /** The folder in the cache: {@code models--org--name}. */
  String folder() {
    return kind.plural + "--" + id.replace("/", "--");
  }

  /** Where the hub describes the repository, after the endpoint. */
  String descriptionPath() {
    return "/api/%s/%s/revision/%s?blobs=true".formatted(kind.plural, id, encoded(revision));
  }

  /** Where a file of a commit is, after the endpoint. */
  String filePath(String commit, String file) {
    String path =
        Arrays.stream(file.split("/")).map(HubRepository::encoded).collect(Collectors.joining("/"));
    return "/%s%s/resolve/%s/%s".formatted(kind.prefix, id, commit, path);
  }

  /** The page for people, after the endpoint. */
  String page() {
    return "/" + kind.prefix + id;
  }

  private static String encoded(String text) {
    return URLEncoder.encode(text, StandardCharsets.UTF_8).replace("+", "%20");
  }
}
