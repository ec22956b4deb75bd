package io.panatron.cli;

import io.panatron.kernels.OutOfDeviceMemoryException;
import io.panatron.runtime.UserError;
import io.panatron.runtime.config.ParsedArguments;
import io.panatron.runtime.export.ExportConfig;
import io.panatron.runtime.export.ExportSession;
import java.io.PrintWriter;
import java.nio.file.Path;

/** Exports on this machine. */
final class LocalExport implements TrainingRun {
  @Override
  public int run(ParsedArguments arguments, PrintWriter out) {
    Path fetched = HubChoice.model(arguments, HubChoice.names(arguments, out));
    ExportConfig config = ExportConfig.of(arguments, fetched);
    try {
      Path folder =
          new ExportSession(
                  config,
                  device -> DeviceChoice.openRank(device, arguments.integerOrNull("threads")),
                  out)
              .run();
      out.println("Exported          the model is in " + folder);
      return 0;
    } catch (OutOfDeviceMemoryException e) {
      throw new UserError(String.valueOf(e.getMessage()), e);
    }
  }
}
