package io.panatron.runtime.train;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.Device;
import io.panatron.kernels.MemoryScope;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.data.MicroBatch;
import io.panatron.runtime.tensor.HostTransfer;

/**
 * A micro-batch on the device.
 *
 * @param ids [tokens] I32
 * @param positions [tokens] I32
 * @param labels [tokens] I32, negative where there is nothing to predict
 * @param layout which tokens form a sequence
 */
record DeviceBatch(Tensor ids, Tensor positions, Tensor labels, AttentionLayout layout) {

  static DeviceBatch upload(Device device, MemoryScope scope, MicroBatch batch) {
    return new DeviceBatch(
        HostTransfer.upload(device, scope, "ids", batch.tokens()),
        HostTransfer.upload(device, scope, "positions", batch.positions()),
        HostTransfer.upload(device, scope, "labels", batch.labels()),
        AttentionLayout.packed(batch.sequenceStarts()));
  }
}
