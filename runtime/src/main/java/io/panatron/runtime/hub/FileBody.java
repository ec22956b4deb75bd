package io.panatron.runtime.hub;

import java.io.IOException;
import java.net.http.HttpResponse.BodySubscriber;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;
import org.jspecify.annotations.Nullable;

/**
 * Writes a body into a file as it arrives. After {@link #abandon} nothing is written any more, so
 * that a late piece of one try never falls into the next.
 */
final class FileBody implements BodySubscriber<Long>, HubHttp.Transfer {
  private final CompletableFuture<Long> done = new CompletableFuture<>();
  private final Path file;
  private final boolean append;
  private Flow.@Nullable Subscription subscription;
  private @Nullable FileChannel channel;
  private @Nullable IOException diskFailure;
  private long received;
  private boolean abandoned;

  /**
   * @param append whether the bytes follow those that the file has
   */
  FileBody(Path file, boolean append) {
    this.file = file;
    this.append = append;
  }

  @Override
  public CompletionStage<Long> getBody() {
    return done;
  }

  /** What the disk refused, or null. */
  synchronized @Nullable IOException diskFailure() {
    return diskFailure;
  }

  @Override
  public synchronized long received() {
    return received;
  }

  @Override
  public synchronized void onSubscribe(Flow.Subscription given) {
    subscription = given;
    try {
      if (abandoned) {
        given.cancel();
        return;
      }
      channel =
          append
              ? FileChannel.open(file, StandardOpenOption.CREATE, StandardOpenOption.APPEND)
              : FileChannel.open(
                  file,
                  StandardOpenOption.CREATE,
                  StandardOpenOption.WRITE,
                  StandardOpenOption.TRUNCATE_EXISTING);
      given.request(1);
    } catch (IOException e) {
      fail(e);
    }
  }

  @Override
  public synchronized void onNext(List<ByteBuffer> pieces) {
    if (abandoned || channel == null || subscription == null) {
      return;
    }
    try {
      for (ByteBuffer piece : pieces) {
        while (piece.hasRemaining()) {
          received += channel.write(piece);
        }
      }
      subscription.request(1);
    } catch (IOException e) {
      fail(e);
    }
  }

  private void fail(IOException e) {
    diskFailure = e;
    if (subscription != null) {
      subscription.cancel();
    }
    closeChannel();
    done.completeExceptionally(e);
  }

  @Override
  public synchronized void onError(Throwable failure) {
    closeChannel();
    done.completeExceptionally(failure);
  }

  @Override
  public synchronized void onComplete() {
    closeChannel();
    if (diskFailure == null) {
      done.complete(received);
    }
  }

  @Override
  public synchronized void abandon() {
    abandoned = true;
    closeChannel();
  }

  private void closeChannel() {
    if (channel != null) {
      try {
        channel.close();
      } catch (IOException e) {
        diskFailure = e;
        done.completeExceptionally(e);
      }
      channel = null;
    }
  }
}
