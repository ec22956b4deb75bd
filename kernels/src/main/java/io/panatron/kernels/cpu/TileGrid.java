package io.panatron.kernels.cpu;

/**
 * A result matrix cut into tiles, numbered row by row: one is one piece of work.
 *
 * @param rows rows of the matrix
 * @param columns columns of the matrix
 * @param tileRows rows of a tile; those of the last row of tiles may be fewer
 * @param tileColumns columns of a tile; likewise
 */
record TileGrid(int rows, int columns, int tileRows, int tileColumns) {
  static TileGrid of(int rows, int columns) {
    return new TileGrid(rows, columns, TileSizes.rows(rows, columns), TileSizes.columns(columns));
  }

  int count() {
    return TileSizes.count(rows, tileRows) * across();
  }

  int firstRow(int tile) {
    return tile / across() * tileRows;
  }

  int firstColumn(int tile) {
    return tile % across() * tileColumns;
  }

  int rowsOf(int tile) {
    return Math.min(tileRows, rows - firstRow(tile));
  }

  int columnsOf(int tile) {
    return Math.min(tileColumns, columns - firstColumn(tile));
  }

  /** Where a tile begins in the matrix, in elements. */
  long position(int tile) {
    return (long) firstRow(tile) * columns + firstColumn(tile);
  }

  private int across() {
    return TileSizes.count(columns, tileColumns);
  }
}
