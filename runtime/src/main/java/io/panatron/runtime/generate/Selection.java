package io.panatron.runtime.generate;

/**
 * Finds where the largest entries of an array end without sorting it: quickselect, by count or by
 * weight. Work is proportional to the entries on average.
 *
 * <p>Among equal weights the entry with the greater id counts as the larger one, as in a stable
 * ascending sort.
 */
final class Selection {
  private final double[] weights;
  private final int[] ids;

  /** Reorders the arrays it is given. */
  private Selection(double[] weights, int[] ids) {
    this.weights = weights;
    this.ids = ids;
  }

  /**
   * The k-th largest of the first {@code count} weights; reorders both arrays.
   *
   * @param k 1 to {@code count}
   */
  static double kthLargest(double[] weights, int[] ids, int count, int k) {
    Selection selection = new Selection(weights, ids);
    int low = 0;
    int high = count - 1;
    while (true) {
      int pivot = selection.partition(low, high);
      if (pivot == k - 1) {
        return weights[pivot];
      }
      if (pivot > k - 1) {
        high = pivot - 1;
      } else {
        low = pivot + 1;
      }
    }
  }

  /**
   * Moves to the front the fewest largest entries whose weights sum to {@code mass} or more, all if
   * none do, and returns how many they are: at least 1. The last of them is the smallest.
   */
  static int largestWithMass(double[] weights, int[] ids, int count, double mass) {
    Selection selection = new Selection(weights, ids);
    int low = 0;
    int high = count - 1;
    double above = 0;
    while (low <= high) {
      int pivot = selection.partition(low, high);
      double larger = above;
      for (int i = low; i < pivot; i++) {
        larger += weights[i];
      }
      if (pivot > low && larger >= mass) {
        high = pivot - 1;
      } else if (larger + weights[pivot] >= mass) {
        return pivot + 1;
      } else {
        above = larger + weights[pivot];
        low = pivot + 1;
      }
    }
    return low;
  }

  /** Orders a range around one of its entries, larger ones first, and returns its place. */
  private int partition(int low, int high) {
    int middle = (low + high) >>> 1;
    if (isLarger(middle, low)) {
      swap(middle, low);
    }
    if (isLarger(high, low)) {
      swap(high, low);
    }
    if (isLarger(high, middle)) {
      swap(high, middle);
    }
    swap(middle, high);
    int place = low;
    for (int i = low; i < high; i++) {
      if (isLarger(i, high)) {
        swap(i, place++);
      }
    }
    swap(place, high);
    return place;
  }

  private boolean isLarger(int i, int j) {
    return weights[i] > weights[j] || (weights[i] == weights[j] && ids[i] > ids[j]);
  }

  private void swap(int i, int j) {
    double weight = weights[i];
    weights[i] = weights[j];
    weights[j] = weight;
    int id = ids[i];
    ids[i] = ids[j];
    ids[j] = id;
  }
}
