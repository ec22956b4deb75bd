package io.panatron.kernels.cpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.constraints.IntRange;
import org.junit.jupiter.api.Test;

class TileGridTest {
  @Property(tries = 200)
  void tilesCoverTheMatrixOnce(
      @ForAll @IntRange(min = 0, max = 3000) int rows,
      @ForAll @IntRange(min = 1, max = 3000) int columns) {
    TileGrid grid = TileGrid.of(rows, columns);
    long covered = 0;
    for (int tile = 0; tile < grid.count(); tile++) {
      assertThat(grid.rowsOf(tile)).isPositive();
      assertThat(grid.columnsOf(tile)).isPositive();
      assertThat(grid.position(tile))
          .isEqualTo((long) grid.firstRow(tile) * columns + grid.firstColumn(tile));
      covered += (long) grid.rowsOf(tile) * grid.columnsOf(tile);
    }
    assertThat(covered).isEqualTo((long) rows * columns);
  }

  @Test
  void anyExtentIsCutIntoFewPowersOfTwo() {
    Set<Integer> sizes = new HashSet<>();
    for (int extent = 1; extent <= 2000; extent++) {
      int position = 0;
      while (position < extent) {
        int size = TileSizes.powerOfTwoAt(position, extent, 512);
        sizes.add(size);
        position += size;
      }
      assertThat(position).isEqualTo(extent);
    }
    assertThat(sizes).containsExactlyInAnyOrder(1, 2, 4, 8, 16, 32, 64, 128, 256, 512);
  }
}
