package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.channels.FileLock;
import java.nio.channels.OverlappingFileLockException;
import java.nio.file.FileAlreadyExistsException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;

/**
 * The part of the hub's cache that belongs to one repository, as the hub's Python client lays it
 * out:
 *
 * <pre>
 * models--org--name/
 *   blobs/{etag}                       contents
 *   snapshots/{commit}/{path}          links to them
 *   refs/{branch or tag}               the commit it stood for
 * .locks/models--org--name/{etag}.lock
 * </pre>
 *
 * <p>A content gets its name in {@code blobs} when it is whole, so nothing here is half written,
 * whoever else writes.
 */
final class HubCache {
  private static final long POLL_MILLIS = 100;
  private static final long MAX_REF_BYTES = 256;

  private final Path root;
  private final Path folder;
  private final HubRepository repository;

  HubCache(Path root, HubRepository repository) {
    this.root = root;
    this.repository = repository;
    this.folder = root.resolve(repository.folder());
  }

  /** The commit that the cache has for the repository's revision, or null. */
  @Nullable String commit() {
    if (repository.isPinned()) {
      return repository.revision();
    }
    Path ref = folder.resolve("refs").resolve(repository.revision());
    try {
      if (!Files.isRegularFile(ref) || Files.size(ref) > MAX_REF_BYTES) {
        return null;
      }
      String commit = Files.readString(ref).strip();
      return HubRepository.isCommit(commit) ? commit : null;
    } catch (IOException e) {
      throw failure(ref, e);
    }
  }

  /** Where the files of a commit are. */
  Path snapshot(String commit) {
    return folder.resolve("snapshots").resolve(commit);
  }

  /** The files of a commit that are in the cache. */
  List<HubFile> files(String commit) {
    Path snapshot = snapshot(commit);
    if (!Files.isDirectory(snapshot)) {
      return List.of();
    }
    try (Stream<Path> all = Files.walk(snapshot)) {
      List<HubFile> files = new ArrayList<>();
      for (Path file : all.filter(Files::isRegularFile).sorted().toList()) {
        String path = snapshot.relativize(file).toString();
        files.add(new HubFile(path, Files.size(file), null));
      }
      return files;
    } catch (IOException e) {
      throw failure(snapshot, e);
    }
  }

  /** Notes which commit the repository's revision stands for. */
  void note(String commit) {
    if (repository.isPinned() || commit.equals(commit())) {
      return;
    }
    Path ref = folder.resolve("refs").resolve(repository.revision());
    try {
      Files.createDirectories(parent(ref));
      Path side = Files.createTempFile(parent(ref), ".ref", ".tmp");
      Files.writeString(side, commit);
      Files.move(side, ref, StandardCopyOption.ATOMIC_MOVE);
    } catch (IOException e) {
      throw failure(ref, e);
    }
  }

  /** Where the content with an etag is, whole or not there. */
  Path blob(String etag) {
    return folder.resolve("blobs").resolve(etag);
  }

  /** Where a content is kept until it is whole; under the lock. */
  Path incomplete(String etag) {
    return folder.resolve("blobs").resolve(etag + ".panatron.incomplete");
  }

  /** Makes the folders for a file of a commit. */
  void prepare(String commit, String path) {
    try {
      Files.createDirectories(folder.resolve("blobs"));
      Files.createDirectories(parent(snapshot(commit).resolve(path)));
      Path tag = root.resolve("CACHEDIR.TAG"); // backup programs leave such folders out
      if (!Files.exists(tag)) {
        Files.writeString(tag, "Signature: 8a477f597d28d172789f06886806bc55\n");
      }
    } catch (IOException e) {
      throw failure(folder, e);
    }
  }

  /** Makes the snapshot's link to a content that is there. */
  void link(String commit, String path, String etag) {
    Path pointer = snapshot(commit).resolve(path);
    Path target = parent(pointer).relativize(blob(etag));
    try {
      if (Files.exists(pointer)) {
        return;
      }
      Files.deleteIfExists(pointer); // a link to what is gone
      try {
        Files.createSymbolicLink(pointer, target);
      } catch (FileAlreadyExistsException e) {
        if (!Files.exists(pointer)) {
          throw e;
        }
      } catch (UnsupportedOperationException e) {
        Files.copy(blob(etag), pointer);
      }
    } catch (IOException e) {
      throw failure(pointer, e);
    }
  }

  /**
   * Waits until nobody else fetches the content with this etag, in this process or another.
   *
   * @param waiting told once if there is something to wait for
   * @return to be closed
   */
  FileChannel lock(String etag, Consumer<String> waiting) throws InterruptedException {
    Path file = root.resolve(".locks").resolve(repository.folder()).resolve(etag + ".lock");
    FileChannel channel = null;
    boolean held = false;
    try {
      Files.createDirectories(parent(file));
      channel = FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.WRITE);
      boolean told = false;
      while (!held) {
        held = isLocked(channel);
        if (!held) {
          if (!told) {
            waiting.accept(
                "Another process fetches the same file of " + repository.id() + "; waiting.");
            told = true;
          }
          Thread.sleep(POLL_MILLIS);
        }
      }
      return channel;
    } catch (IOException e) {
      throw failure(file, e);
    } finally {
      if (!held && channel != null) {
        closeAfterFailure(channel);
      }
    }
  }

  private static void closeAfterFailure(FileChannel channel) {
    try {
      channel.close();
    } catch (IOException e) {
      // The failure that ended the waiting is on its way to the caller, and nothing was written.
      return;
    }
  }

  private static boolean isLocked(FileChannel channel) throws IOException {
    try {
      FileLock lock = channel.tryLock();
      return lock != null;
    } catch (OverlappingFileLockException e) {
      return false; // another thread of this process has it
    }
  }

  private static Path parent(Path path) {
    Path parent = path.getParent();
    if (parent == null) {
      throw new IllegalStateException(path + " lies in no folder");
    }
    return parent;
  }

  private UserError failure(Path path, IOException e) {
    return new UserError(
        "The hub's cache cannot be used at %s (%s: %s); mend its rights or make room there, or set HF_HOME to another folder."
            .formatted(path, e.getClass().getSimpleName(), e.getMessage()),
        e);
  }
}
