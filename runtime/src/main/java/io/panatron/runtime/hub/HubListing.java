package io.panatron.runtime.hub;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import io.panatron.runtime.UserError;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import org.jspecify.annotations.Nullable;

/**
 * The files of a repository at a commit.
 *
 * @param commit 40 digits
 */
record HubListing(String commit, List<HubFile> files) {
  HubListing {
    files = List.copyOf(files);
  }

  /**
   * Reads the hub's description of a repository.
   *
   * @throws UserError where it is not what the hub's interface promises
   */
  static HubListing of(HubRepository repository, ObjectNode description) {
    String commit = description.path("sha").asText();
    JsonNode siblings = description.path("siblings");
    if (!HubRepository.isCommit(commit) || !siblings.isArray()) {
      throw new UserError(
          "The hub's answer about %s names no commit and files; check HF_ENDPOINT."
              .formatted(repository.id()));
    }
    List<HubFile> files = new ArrayList<>();
    for (JsonNode sibling : siblings) {
      String path = sibling.path("rfilename").asText();
      if (!HubFile.isSafe(path)) {
        throw new UserError(
            "%s on the hub has a file '%s', whose name would leave its folder; nothing of it is fetched."
                .formatted(repository.id(), path.replaceAll("\\p{Cntrl}", "?")));
      }
      JsonNode large = sibling.path("lfs");
      files.add(
          new HubFile(
              path,
              sibling.path("size").asLong(large.path("size").asLong(-1)),
              large.isObject()
                  ? digest(large.path("sha256").asText(large.path("oid").asText()), 64)
                  : digest(sibling.path("blobId").asText(), 40)));
    }
    return new HubListing(commit, files);
  }

  static @Nullable String digest(String text, int digits) {
    String bare = text.startsWith("sha256:") ? text.substring("sha256:".length()) : text;
    return bare.toLowerCase(Locale.ROOT).matches("[0-9a-f]{" + digits + "}")
        ? bare.toLowerCase(Locale.ROOT)
        : null;
  }

  /** The file of this path, or null. */
  @Nullable HubFile file(String path) {
    for (HubFile file : files) {
      if (file.path().equals(path)) {
        return file;
      }
    }
    return null;
  }
}
