package io.panatron.runtime.parallel.pipeline;

import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.Combinators;
import net.jqwik.api.Provide;
import net.jqwik.api.domains.DomainContextBase;

/**
 * Schedules of all kinds: any stages and micro-batches, any chunks and groups that go with them.
 */
public final class ScheduleDomain extends DomainContextBase {
  @Provide
  public Arbitrary<Schedule> schedules() {
    Arbitrary<Integer> small = Arbitraries.integers().between(1, 8);
    Arbitrary<Integer> any = Arbitraries.integers().between(0, 1 << 20);
    return Combinators.combine(
            small, small.filter(n -> n <= 4), small, any, any, Arbitraries.of(true, false))
        .as(ScheduleDomain::schedule);
  }

  private static Schedule schedule(
      int pipeline, int chunks, int groups, int more, int rest, boolean forwardOnly) {
    if (pipeline == 1 || chunks == 1) {
      return new Schedule(pipeline, 1, 1 + more % 24, pipeline, forwardOnly);
    }
    int group = pipeline + more % 7;
    int last = rest % 3 == 0 ? 0 : pipeline + rest % (group - pipeline + 1);
    int microBatches = groups * group + (last == group ? 0 : last);
    return new Schedule(pipeline, chunks, microBatches, group, forwardOnly);
  }
}
