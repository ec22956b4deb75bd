package io.panatron.tests.fault;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.panatron.cli.InProcess;
import io.panatron.kernels.Backend;
import io.panatron.kernels.DType;
import io.panatron.kernels.MemoryPool;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.kernels.backends.Backends;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** {@code --check_memory}: changes nothing in a sound run, and catches an unsound one. */
class CheckMemoryTest {
  @ParameterizedTest
  @ValueSource(strings = {"float32", "bfloat16"})
  void aCheckedRunEqualsAnUncheckedOne(String dtype, @TempDir Path folder) {
    TrainingCall plain =
        TrainingCall.into(folder.resolve("plain"))
            .with("torch_dtype", dtype)
            .with("val_dataset", Fixture.rows())
            .with("eval_interval", 8);
    TrainingCall checked = plain.with("save", folder.resolve("checked")).with("check_memory", true);

    assertThat(plain.run().status()).isZero();
    InProcess.Result result = checked.run();

    assertThat(result.err()).isEmpty();
    assertThat(result.status()).isZero();
    RunFiles.assertSameState(
        checked.save().resolve("checkpoint-8"), plain.save().resolve("checkpoint-8"));
  }

  /** A library that writes one element too many behind Java's back. */
  @Test
  @SuppressWarnings("restricted") // native code knows no bounds either
  void anOverrunOfALibraryIsFound() {
    Backend backend = Backends.cpu(1, System.getenv());
    try (MemoryPool pool = new MemoryPool(backend.device(), (bytes, all) -> {})) {
      MemoryScope scope = pool.scope("step", true);
      Tensor activation = scope.allocate("activation", DType.F32, 63);

      MemorySegment.ofAddress(activation.address())
          .reinterpret(64 * Float.BYTES)
          .setAtIndex(ValueLayout.JAVA_FLOAT, 63, 1);

      assertThatThrownBy(scope::close)
          .isInstanceOf(IllegalStateException.class)
          .hasMessageContaining("memory after activation was overwritten at byte 252");
    } finally {
      backend.close();
    }
  }
}
