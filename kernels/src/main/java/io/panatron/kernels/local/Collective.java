package io.panatron.kernels.local;

import io.panatron.kernels.DType;
import io.panatron.kernels.Reduction;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.cpu.PeerReduction;
import io.panatron.kernels.host.HostMemory;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** What one rank passed to a collective operation. */
sealed interface Collective {
  /** What must be the same on all ranks, in words. */
  String signature();

  /** Bytes as {@link io.panatron.kernels.Traffic} counts them; 0 for what it does not count. */
  default long bytes() {
    return 0;
  }

  /** Why the calls of all ranks do not fit together although their signatures do; null if so. */
  default @Nullable String conflict(List<Collective> calls) {
    return null;
  }

  /** Whether bytes of tensors move. */
  default boolean moves() {
    return false;
  }

  /**
   * Does the share of this rank, whose call this is.
   *
   * @param calls those of all ranks, of this type
   */
  default void move(int rank, List<Collective> calls, PeerReduction reduction) {}

  /** Rank {@code r} reduces the {@code r}-th share of all tensors and writes it to all of them. */
  record AllReduce(Tensor x, Reduction reduction) implements Collective {
    /** Shares meet between cache lines. */
    private static final long LINE = 64;

    @Override
    public String signature() {
      return "all-reduce " + reduction + " " + x;
    }

    @Override
    public long bytes() {
      return x.bytes();
    }

    @Override
    public boolean moves() {
      return true;
    }

    @Override
    public void move(int rank, List<Collective> calls, PeerReduction scratch) {
      long lines = (x.bytes() + LINE - 1) / LINE;
      long start = Math.min(lines * rank / calls.size() * LINE, x.bytes());
      long end = Math.min(lines * (rank + 1) / calls.size() * LINE, x.bytes());
      List<MemorySegment> all = new ArrayList<>(calls.size());
      for (Collective call : calls) {
        all.add(HostMemory.of(((AllReduce) call).x).asSlice(start, end - start));
      }
      scratch.reduce(x.dtype(), reduction, all, all);
    }
  }

  /** Every rank but the root reads the root's tensor. */
  record Broadcast(Tensor x, int root) implements Collective {
    @Override
    public String signature() {
      return "broadcast " + x + " from " + root;
    }

    @Override
    public long bytes() {
      return x.bytes();
    }

    @Override
    public boolean moves() {
      return true;
    }

    @Override
    public void move(int rank, List<Collective> calls, PeerReduction scratch) {
      if (rank != root) {
        HostMemory.of(x).copyFrom(HostMemory.of(((Broadcast) calls.get(root)).x));
      }
    }
  }

  /** Every rank reads the parts of all. */
  record AllGather(Tensor part, Tensor whole) implements Collective {
    @Override
    public String signature() {
      return "all-gather " + part;
    }

    @Override
    public long bytes() {
      return whole.bytes();
    }

    @Override
    public boolean moves() {
      return true;
    }

    @Override
    public void move(int rank, List<Collective> calls, PeerReduction scratch) {
      MemorySegment target = HostMemory.of(whole);
      for (int peer = 0; peer < calls.size(); peer++) {
        Tensor from = ((AllGather) calls.get(peer)).part;
        long offset = peer * part.bytes();
        if (peer != rank || from.address() != whole.address() + offset) {
          MemorySegment.copy(HostMemory.of(from), 0, target, offset, part.bytes());
        }
      }
    }
  }

  /** Every rank reduces its share of the tensors of all. */
  record ReduceScatter(Tensor whole, Tensor part, Reduction reduction) implements Collective {
    @Override
    public String signature() {
      return "reduce-scatter " + reduction + " " + whole;
    }

    @Override
    public long bytes() {
      return whole.bytes();
    }

    @Override
    public boolean moves() {
      return true;
    }

    @Override
    public void move(int rank, List<Collective> calls, PeerReduction scratch) {
      List<MemorySegment> all = new ArrayList<>(calls.size());
      for (Collective call : calls) {
        MemorySegment from = HostMemory.of(((ReduceScatter) call).whole);
        all.add(from.asSlice(rank * part.bytes(), part.bytes()));
      }
      scratch.reduce(whole.dtype(), reduction, all, List.of(HostMemory.of(part)));
    }
  }

  /** Every rank reads its blocks from all. */
  record AllToAll(Tensor send, List<Long> sendRows, Tensor receive, List<Long> receiveRows)
      implements Collective {
    @Override
    public String signature() {
      return "all-to-all of rows of " + rowBytes() + " bytes, " + send.dtype();
    }

    private long rowBytes() {
      long elements = 1;
      for (int axis = 1; axis < send.shape().rank(); axis++) {
        elements *= send.shape().extent(axis);
      }
      return elements * send.dtype().bytes();
    }

    @Override
    public long bytes() {
      return send.bytes();
    }

    @Override
    public boolean moves() {
      return true;
    }

    @Override
    public @Nullable String conflict(List<Collective> calls) {
      for (int from = 0; from < calls.size(); from++) {
        for (int to = 0; to < calls.size(); to++) {
          long sent = ((AllToAll) calls.get(from)).sendRows.get(to);
          long expected = ((AllToAll) calls.get(to)).receiveRows.get(from);
          if (sent != expected) {
            return "rank %d of the group sends %d rows to rank %d, which expects %d"
                .formatted(from, sent, to, expected);
          }
        }
      }
      return null;
    }

    @Override
    public void move(int rank, List<Collective> calls, PeerReduction scratch) {
      MemorySegment target = HostMemory.of(receive);
      long offset = 0;
      for (Collective call : calls) {
        AllToAll peer = (AllToAll) call;
        long skipped = peer.sendRows.subList(0, rank).stream().mapToLong(Long::longValue).sum();
        long bytes = peer.sendRows.get(rank) * rowBytes();
        MemorySegment.copy(HostMemory.of(peer.send), skipped * rowBytes(), target, offset, bytes);
        offset += bytes;
      }
    }
  }

  /** A number of the host; every rank reduces those of all itself. */
  record HostReduce(double value, Reduction reduction) implements Collective {
    @Override
    public String signature() {
      return "all-reduce " + reduction + " of a number";
    }
  }

  /** Bytes of the host. */
  record HostGather(byte[] part) implements Collective {
    @Override
    public String signature() {
      return "all-gather of host bytes";
    }
  }

  /** Bytes of the host. */
  record HostBroadcast(byte[] content, int root) implements Collective {
    @Override
    public String signature() {
      return "broadcast of host bytes from " + root;
    }
  }

  /** Only arriving counts. */
  record Barrier() implements Collective {
    @Override
    public String signature() {
      return "barrier";
    }
  }

  /** Whether two tensors share an element. */
  static boolean overlap(Tensor a, Tensor b) {
    return a.address() < b.address() + b.bytes() && b.address() < a.address() + a.bytes();
  }

  /** Refuses a dtype that cannot be reduced. */
  static void requireReducible(String operation, DType dtype) {
    if (!PeerReduction.reduces(dtype)) {
      throw new IllegalArgumentException(operation + ": " + dtype + " cannot be reduced");
    }
  }
}
