package io.panatron.runtime.observe;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import org.jspecify.annotations.NullMarked;
import org.junit.jupiter.api.Test;

@NullMarked
class ProcessFiguresTest {
  /** Of the kernel's two clocks, in seconds. */
  private static final double RESOLUTION = 0.02;

  @Test
  void theProcessIsAsOldAsItsVirtualMachineAtLeast() throws Exception {
    double machine = ManagementFactory.getRuntimeMXBean().getUptime() * 1e-3;
    assertThat(ProcessFigures.secondsSinceStart()).isGreaterThan(machine - RESOLUTION);
  }

  @Test
  void timePasses() throws Exception {
    double before = ProcessFigures.secondsSinceStart();
    Thread.sleep(50);
    assertThat(ProcessFigures.secondsSinceStart() - before).isGreaterThan(0.05 - RESOLUTION);
  }

  @Test
  void thereIsAPeakOfMemory() throws Exception {
    assertThat(ProcessFigures.peakResidentBytes()).isGreaterThan(1 << 20);
  }
}
