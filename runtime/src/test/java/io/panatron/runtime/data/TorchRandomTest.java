package io.panatron.runtime.data;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import org.junit.jupiter.api.Test;

/** The numbers of randperm.json were drawn by PyTorch 2.13 on the CPU. */
class TorchRandomTest {

  @Test
  void permutationsEqualThoseOfTorch() {
    int cases = 0;
    for (JsonNode c : Fixtures.json("randperm.json")) {
      int[] p = new TorchRandom(c.get("seed").asLong()).permutation(c.get("n").asInt());
      if (c.has("permutation")) {
        int[] expected = new int[p.length];
        assertThat(c.get("permutation")).hasSize(p.length);
        for (int i = 0; i < expected.length; i++) {
          expected[i] = c.get("permutation").get(i).asInt();
        }
        assertThat(p).as("seed %s", c.get("seed")).isEqualTo(expected);
      } else {
        long hash = 0;
        for (int v : p) {
          hash = (hash * 31 + v) % 2147483647L;
        }
        assertThat(hash).as("n %s", c.get("n")).isEqualTo(c.get("hash").asLong());
      }
      cases++;
    }
    assertThat(cases).isEqualTo(68);
  }

  @Test
  void moreNumbersThanTorchDrawsWith32BitsAreRefused() {
    assertThatThrownBy(() -> new TorchRandom(1).permutation(TorchRandom.MAX_PERMUTATION + 1))
        .isInstanceOf(IllegalArgumentException.class);
  }
}
