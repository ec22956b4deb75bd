package io.panatron.runtime.parallel.timeline;

import static org.assertj.core.api.Assertions.assertThat;

import io.panatron.runtime.parallel.pipeline.Schedule;
import io.panatron.runtime.parallel.pipeline.ScheduleDomain;
import java.util.List;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.domains.Domain;
import net.jqwik.api.domains.DomainContext;
import org.junit.jupiter.api.Test;

@Domain(ScheduleDomain.class)
@Domain(DomainContext.Global.class)
class TextChartTest {
  private static final Timeline TWO = Timeline.planned(Schedule.training(2, 1, 2, null), 1, 2);

  @Test
  void aRankIsALine() {
    TextChart chart = new TextChart(30, false, false);

    assertThat(chart.lines(TWO))
        .containsExactly("stage 0  0>1>....0<<<..1<<<", "stage 1  ..0>0<<<1>1<<<....");
    assertThat(chart.legend(TWO))
        .isEqualTo("> forward, < backward, . waiting; a number is a micro-batch");
    assertThat(new TextChart(30, true, false).lines(TWO).getFirst())
        .isEqualTo("stage 0  0▸1▸····0◂◂◂··1◂◂◂");
  }

  @Test
  void chunksHaveLettersWhereThereIsRoom() {
    Timeline chunks = Timeline.planned(Schedule.training(2, 2, 2, null), 2, 2);

    assertThat(new TextChart(60, false, false).lines(chunks).getLast())
        .isEqualTo("stage 1  .....0a>>>1a>>>0b>>>0b<<<1b>>>1b<<<0a<<<1a<<<.....");
  }

  @Test
  void coloursTakeThePlaceOfSigns() {
    String line = new TextChart(30, false, true).lines(TWO).getFirst();

    assertThat(line).contains("\u001b[30;48;5;153m0>\u001b[0m", "\u001b[30;48;5;157m0<<<\u001b[0m");
    assertThat(line.replaceAll("\u001b\\[[0-9;]*m", ""))
        .isEqualTo(new TextChart(30, false, false).lines(TWO).getFirst());
  }

  @Property
  void chartsFitTheTerminal(
      @ForAll Schedule schedule, @ForAll @IntRange(min = 1, max = 200) int width) {
    Timeline timeline = Timeline.planned(schedule, 1, 2);
    List<String> lines = new TextChart(width, true, false).lines(timeline);

    assertThat(lines).hasSize(schedule.pipeline());
    // Names and sixteen columns are the least that is drawn.
    assertThat(lines).allMatch(line -> line.length() <= Math.max(width, 7 + 2 + 16));
    assertThat(lines.stream().map(String::length).distinct()).hasSize(1);
  }

  @Test
  void manyRanksAreCutInTheMiddle() {
    Timeline timeline = Timeline.planned(Schedule.training(100, 1, 4, null), 1, 2);
    List<String> lines = new TextChart(80, false, false).lines(timeline);

    assertThat(lines).hasSize(65).contains("... 36 more");
    assertThat(lines.getFirst()).startsWith("stage 0 ");
    assertThat(lines.getLast()).startsWith("stage 99");
  }
}
