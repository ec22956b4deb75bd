package io.panatron.runtime.hub;

import com.fasterxml.jackson.databind.JsonNode;
import io.panatron.runtime.UserError;
import io.panatron.runtime.checkpoint.BoundedJson;
import java.io.IOException;
import java.net.ProxySelector;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeSet;
import org.jspecify.annotations.Nullable;

/**
 * Models and data sets by their names on the hub: from the cache where that has what is wanted,
 * else fetched into it.
 */
final class Hub {
  private static final long MOST_INDEX_BYTES = 100_000_000;
  private static final long MOST_CARD_BYTES = 16 << 20;

  private final HubSettings settings;
  private final HubProgress progress;
  private final @Nullable ProxySelector proxies;

  Hub(HubSettings settings, HubProgress progress, @Nullable ProxySelector proxies) {
    this.settings = settings;
    this.progress = progress;
    this.proxies = proxies;
  }

  /** A model's files in the cache: a folder as {@code --model} takes it. */
  Path model(HubRepository repository) {
    return take(
        repository,
        (listing, source) -> {
          Path folder = source.cache().snapshot(listing.commit());
          for (HubFile file : ModelSelection.small(listing.files())) {
            source.get(listing.commit(), file);
          }
          List<HubFile> weights =
              ModelSelection.weights(repository, listing.files(), shards(folder));
          // Last, so that a folder with weights has the rest.
          for (HubFile file : weights) {
            source.get(listing.commit(), file);
          }
          if (ModelSelection.named(listing.files(), ModelSelection.CONFIG).isEmpty()
              && ModelSelection.named(listing.files(), ModelSelection.ADAPTER_CONFIG).isEmpty()) {
            throw new UserError(
                "%s on the hub has no config.json, so it is no model; check the name."
                    .formatted(repository.id()));
          }
          return folder;
        });
  }

  /** A data set's training files in the cache. */
  List<Path> dataset(HubRepository repository, @Nullable String subset) {
    return take(
        repository,
        (listing, source) -> {
          HubFile readme = listing.file(DatasetSelection.CARD);
          DatasetCard card =
              readme == null || readme.size() > MOST_CARD_BYTES
                  ? null
                  : DatasetCard.of(
                      repository.id(),
                      Files.readString(
                          source.get(listing.commit(), readme), StandardCharsets.UTF_8));
          List<Path> paths = new ArrayList<>();
          for (HubFile file :
              new DatasetSelection(repository, listing.files()).training(card, subset)) {
            paths.add(source.get(listing.commit(), file));
          }
          return paths;
        });
  }

  private static List<String> shards(Path folder) {
    Path index = folder.resolve(ModelSelection.INDEX);
    if (!Files.exists(index)) {
      return List.of();
    }
    TreeSet<String> shards = new TreeSet<>();
    for (JsonNode shard : BoundedJson.readObject(index, MOST_INDEX_BYTES).path("weight_map")) {
      if (!shard.isTextual()
          || !shard.asText().matches("[A-Za-z0-9][A-Za-z0-9._-]*\\.safetensors")) {
        throw new UserError(
            "%s names a shard %s, which is no .safetensors file.".formatted(index, shard));
      }
      shards.add(shard.asText());
    }
    return List.copyOf(shards);
  }

  /** Where files come from. */
  private interface Source {
    HubCache cache();

    Path get(String commit, HubFile file) throws IOException, InterruptedException;
  }

  private interface Taking<T> {
    T from(HubListing listing, Source source) throws IOException, InterruptedException;
  }

  private <T> T take(HubRepository repository, Taking<T> taking) {
    HubCache cache = new HubCache(settings.cache(), repository);
    try {
      if (settings.offline()) {
        return taking.from(
            cached(repository, cache, "HF_HUB_OFFLINE is set"), offline(repository, cache));
      }
      String pinned = repository.isPinned() ? repository.revision() : null;
      if (pinned != null && isWhole(repository, cache, pinned)) {
        return taking.from(new HubListing(pinned, cache.files(pinned)), offline(repository, cache));
      }
      return fetched(repository, cache, taking);
    } catch (IOException e) {
      throw new UserError(
          "%s cannot be fetched from the hub: %s; try again, or give a folder on this machine."
              .formatted(repository.id(), e.getMessage()),
          e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new UserError("Fetching %s was interrupted.".formatted(repository.id()), e);
    }
  }

  private <T> T fetched(HubRepository repository, HubCache cache, Taking<T> taking)
      throws IOException, InterruptedException {
    try (HubHttp http = new HubHttp(settings, proxies)) {
      HubListing listing;
      try {
        listing = HubListing.of(repository, http.describe(repository));
      } catch (HubUnreachableException e) {
        String commit = cache.commit();
        if (commit == null || cache.files(commit).isEmpty()) {
          throw e;
        }
        progress.note(
            "Note: %s; the cache's copy of %s at commit %s is used."
                .formatted(e.getMessage(), repository.id(), commit));
        return taking.from(new HubListing(commit, cache.files(commit)), offline(repository, cache));
      }
      HubDownload download = new HubDownload(repository, http, cache, progress);
      T taken =
          taking.from(
              listing,
              new Source() {
                @Override
                public HubCache cache() {
                  return cache;
                }

                @Override
                public Path get(String commit, HubFile file)
                    throws IOException, InterruptedException {
                  return download.fetch(commit, file);
                }
              });
      cache.note(listing.commit());
      progress.note(
          "Hub               %s, revision %s, commit %s"
              .formatted(repository.id(), repository.revision(), listing.commit()));
      return taken;
    }
  }

  /** Whether nothing of a model's commit can be missing; of a data set only the hub knows. */
  private static boolean isWhole(HubRepository repository, HubCache cache, String commit) {
    Path folder = cache.snapshot(commit);
    if (repository.kind() != HubRepository.Kind.MODEL
        || !Files.exists(folder.resolve(ModelSelection.CONFIG))
        || !Files.exists(folder.resolve(ModelSelection.TOKENIZER))) {
      return false;
    }
    List<String> shards = shards(folder);
    return Files.exists(folder.resolve(ModelSelection.SINGLE))
        || !shards.isEmpty() && shards.stream().allMatch(s -> Files.exists(folder.resolve(s)));
  }

  private static HubListing cached(HubRepository repository, HubCache cache, String reason) {
    String commit = cache.commit();
    List<HubFile> files = commit == null ? List.of() : cache.files(commit);
    if (commit == null || files.isEmpty()) {
      throw new UserError(
          "%s at revision %s is not in the hub's cache, and %s; fetch it once with a connection, or give a folder on this machine."
              .formatted(repository.id(), repository.revision(), reason));
    }
    return new HubListing(commit, files);
  }

  private static Source offline(HubRepository repository, HubCache cache) {
    return new Source() {
      @Override
      public HubCache cache() {
        return cache;
      }

      @Override
      public Path get(String commit, HubFile file) {
        Path path = cache.snapshot(commit).resolve(file.path());
        if (!Files.exists(path)) {
          throw new UserError(
              "%s of %s is not in the hub's cache; fetch it once with a connection."
                  .formatted(file.path(), repository.id()));
        }
        return path;
      }
    };
  }
}
