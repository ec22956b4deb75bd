package io.panatron.runtime.hub;

import io.panatron.runtime.UserError;
import java.io.IOException;
import java.io.InputStream;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodySubscribers;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.Objects;
import org.jspecify.annotations.Nullable;

/**
 * Fetches the files of one repository into the cache, each once, whole, and with the checksum that
 * the hub names. What broke off is continued, also by a later run.
 */
final class HubDownload {
  private static final int WHOLE = 200;
  private static final int PART = 206;
  private static final int BEYOND = 416;
  private static final int SHA256_DIGITS = 64;
  private static final int BUFFER = 1 << 20;

  private final HubRepository repository;
  private final HubHttp http;
  private final HubCache cache;
  private final HubProgress progress;

  HubDownload(HubRepository repository, HubHttp http, HubCache cache, HubProgress progress) {
    this.repository = repository;
    this.http = http;
    this.cache = cache;
    this.progress = progress;
  }

  /**
   * Makes a file of a commit be in the cache.
   *
   * @return its place in the commit's snapshot
   * @throws HubUnreachableException where the hub gives no answer
   * @throws UserError for what a second try would not change
   */
  Path fetch(String commit, HubFile listed) throws IOException, InterruptedException {
    Path pointer = cache.snapshot(commit).resolve(listed.path());
    if (Files.exists(pointer)) {
      return pointer;
    }
    HubFile file = listed.etag() == null ? http.head(repository, commit, listed) : listed;
    String etag = file.etag();
    if (etag == null) {
      throw new UserError(
          "The hub names no checksum of %s in %s, so it cannot be told whether it arrives whole; check HF_ENDPOINT."
              .formatted(file.path(), repository.id()));
    }
    cache.prepare(commit, file.path());
    try (FileChannel lock = cache.lock(etag, progress::note)) {
      Objects.requireNonNull(lock);
      if (!Files.exists(cache.blob(etag))) {
        transfer(commit, file, etag);
      }
      cache.link(commit, file.path(), etag);
    }
    return pointer;
  }

  private void transfer(String commit, HubFile file, String etag)
      throws IOException, InterruptedException {
    Path part = cache.incomplete(etag);
    progress.begin(file, existing(part));
    boolean again = false;
    for (int attempt = 1; ; attempt++) {
      long before = existing(part);
      Watch watch = new Watch(part, progress);
      try {
        if (file.size() < 0 || before < file.size()) {
          HttpResponse<Long> response =
              http.fetch(repository, commit, file, before, watch::handle, watch);
          int status = response.statusCode();
          if (status == BEYOND && before > 0) {
            Files.delete(part); // longer than the file: not what it should be
            continue;
          }
          if (status != WHOLE && status != PART) {
            Thread.sleep(http.passing(new HubAnswers(repository, file.path()), response, attempt));
            continue;
          }
        }
        if (file.size() >= 0 && existing(part) < file.size()) {
          throw new IOException("the answer ended early");
        }
        if (isGood(part, file, etag)) {
          keep(part, etag);
          progress.end(file);
          return;
        }
        Files.delete(part);
        if (again) {
          throw new UserError(
              "%s of %s arrived twice with other bytes than the hub's checksum %s says; try again later, or another network."
                  .formatted(file.path(), repository.id(), etag));
        }
        again = true;
        progress.note(
            "%s of %s arrived with a wrong checksum; once more."
                .formatted(file.path(), repository.id()));
      } catch (HubUnreachableException e) {
        throw e;
      } catch (IOException e) {
        IOException disk = watch.diskFailure();
        if (disk != null) {
          throw noRoom(part, file, disk);
        }
        // What came counts as progress, so that a bad line ends a run only if nothing comes.
        attempt = existing(part) > before ? 1 : attempt;
        Thread.sleep(http.pauseAfter(e, attempt));
      }
    }
  }

  private static long existing(Path part) throws IOException {
    return Files.exists(part) ? Files.size(part) : 0;
  }

  private UserError noRoom(Path part, HubFile file, IOException disk) {
    return new UserError(
        "%s of %s cannot be written to %s (%s); make room there, or set HF_HOME to another folder."
            .formatted(file.path(), repository.id(), part, disk.getMessage()),
        disk);
  }

  private static boolean isGood(Path part, HubFile file, String etag) throws IOException {
    if (!Files.exists(part)) {
      Files.createFile(part); // an empty file has an empty body
    }
    return (file.size() < 0 || Files.size(part) == file.size()) && digest(part, etag).equals(etag);
  }

  /** SHA-256 of the content, or where the etag is shorter the name that Git gives it. */
  private static String digest(Path file, String etag) throws IOException {
    boolean large = etag.length() == SHA256_DIGITS;
    MessageDigest digest;
    try {
      digest = MessageDigest.getInstance(large ? "SHA-256" : "SHA-1");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every JDK has SHA-1 and SHA-256", e);
    }
    if (!large) {
      digest.update(("blob " + Files.size(file) + "\0").getBytes(StandardCharsets.UTF_8));
    }
    byte[] buffer = new byte[BUFFER];
    try (InputStream in = Files.newInputStream(file)) {
      for (int n = in.read(buffer); n >= 0; n = in.read(buffer)) {
        digest.update(buffer, 0, n);
      }
    }
    return HexFormat.of().formatHex(digest.digest());
  }

  private void keep(Path part, String etag) throws IOException {
    try (FileChannel channel = FileChannel.open(part, StandardOpenOption.WRITE)) {
      channel.force(true);
    }
    Files.move(part, cache.blob(etag), StandardCopyOption.ATOMIC_MOVE);
  }

  /** The body of the last answer, watched. */
  private static final class Watch implements HubHttp.Transfer {
    private final Path part;
    private final HubProgress progress;
    private volatile @Nullable FileBody body;

    Watch(Path part, HubProgress progress) {
      this.part = part;
      this.progress = progress;
    }

    HttpResponse.BodySubscriber<Long> handle(HttpResponse.ResponseInfo answer) {
      int status = answer.statusCode();
      if (status != WHOLE && status != PART) {
        return BodySubscribers.replacing(0L);
      }
      // A server that does not know ranges begins anew.
      FileBody written = new FileBody(part, status == PART);
      body = written;
      return written;
    }

    @Override
    public long received() {
      FileBody current = body;
      long received = current == null ? 0 : current.received();
      progress.received(received);
      return received;
    }

    @Override
    public void abandon() {
      FileBody current = body;
      if (current != null) {
        current.abandon();
      }
    }

    @Nullable IOException diskFailure() {
      FileBody current = body;
      return current == null ? null : current.diskFailure();
    }
  }
}
