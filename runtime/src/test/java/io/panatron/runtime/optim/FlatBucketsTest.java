package io.panatron.runtime.optim;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.nn.FlatLayout;
import java.util.BitSet;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;

class FlatBucketsTest {
  /** Shares tile each bucket exactly, and a rank's state has no gap. */
  @Property
  void everyElementHasOneOwner(
      @ForAll @IntRange(min = 1, max = 9) int ranks,
      @ForAll @IntRange(min = 1, max = 30) int multiples,
      @ForAll @IntRange(min = 1, max = 5_000) int size) {
    long multiple = FlatLayout.multipleFor(ranks);
    int elements = Math.toIntExact(multiples * multiple);
    FlatBuckets buckets = FlatBuckets.of(elements, ranks, multiple, size);

    BitSet owned = new BitSet(elements);
    for (int rank = 0; rank < ranks; rank++) {
      OwnedElements own = buckets.owned(rank);
      long next = 0;
      for (OwnedElements.Piece piece : own.pieces()) {
        assertThat(piece.offset()).isEqualTo(next);
        next += piece.count();
        for (long i = piece.first(); i < piece.first() + piece.count(); i++) {
          assertThat(owned.get((int) i)).isFalse();
          owned.set((int) i);
        }
      }
      assertThat(own.elements()).isEqualTo(elements / ranks);
    }
    assertThat(owned.cardinality()).isEqualTo(elements);
    for (FlatBuckets.Bucket bucket : buckets.parts().subList(0, buckets.parts().size() - 1)) {
      assertThat(bucket.count()).isGreaterThanOrEqualTo(size);
    }
    assertThat(buckets.parts().getFirst().first() + buckets.parts().getFirst().count())
        .isEqualTo(elements);
  }
}
