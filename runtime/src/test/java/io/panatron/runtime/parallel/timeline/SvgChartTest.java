package io.panatron.runtime.parallel.timeline;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.runtime.UserError;
import io.panatron.runtime.parallel.pipeline.Schedule;
import java.io.StringReader;
import java.util.List;
import java.util.stream.IntStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;
import org.w3c.dom.NodeList;
import org.xml.sax.InputSource;

class SvgChartTest {
  @Test
  void aPictureHasOneBoxForEachPassAndSaysHowMuchIsWaiting() throws Exception {
    Schedule schedule = Schedule.training(4, 2, 8, null);
    Document picture = parsed(Timeline.planned(schedule, 1, 2));
    NodeList groups = picture.getElementsByTagName("g");

    assertThat(groups.getLength()).isEqualTo(4 * 2 * 8 * 2);
    assertThat(picture.getElementsByTagName("title").item(0).getTextContent())
        .isEqualTo("interleaved 1F1B, 4 stages x 2 chunks, 8 micro-batches: bubble 15.8 %");
    assertThat(groups.item(0).getTextContent().strip())
        .isEqualTo("0\nforward of micro-batch 0, chunk 0, stage 0: 0 to 0.5");
  }

  @Test
  void namesAreEscaped() throws Exception {
    Timeline timeline =
        new Timeline(
            "<a> & \"b\"", List.of("r<1"), "ms", List.of(new Slot(0, true, 3, 0, 1, 2.25)));
    Document picture = parsed(timeline);

    assertThat(picture.getElementsByTagName("title").item(0).getTextContent())
        .isEqualTo("<a> & \"b\": bubble 44.4 %");
    assertThat(picture.getElementsByTagName("title").item(1).getTextContent())
        .isEqualTo("backward of micro-batch 3, chunk 0, r<1: 1 ms to 2.25 ms");
  }

  @Test
  void anEmptyStepIsAnEmptyPicture() throws Exception {
    assertThat(
            parsed(new Timeline("t", List.of("r"), "", List.of()))
                .getElementsByTagName("g")
                .getLength())
        .isZero();
  }

  @Test
  void tooManyBoxesAreRefused() {
    List<Slot> slots =
        IntStream.rangeClosed(0, 100_000)
            .mapToObj(i -> new Slot(0, false, i, 0, i, i + 1))
            .toList();
    assertThatThrownBy(() -> SvgChart.draw(new Timeline("t", List.of("r"), "", slots)))
        .isInstanceOf(UserError.class)
        .hasMessage(
            "100001 passes are more than a picture shows (100000); choose fewer stages or"
                + " micro-batches.");
  }

  private static Document parsed(Timeline timeline) throws Exception {
    return DocumentBuilderFactory.newInstance()
        .newDocumentBuilder()
        .parse(new InputSource(new StringReader(SvgChart.draw(timeline))));
  }
}
