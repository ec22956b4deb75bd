package io.panatron.cli;

import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.panatron.runtime.parallel.topology.GroupKind;
import io.panatron.runtime.parallel.topology.ParallelSizes;
import io.panatron.runtime.parallel.topology.RankGroup;
import io.panatron.runtime.parallel.topology.Topology;
import java.io.IOException;
import java.io.PrintWriter;
import java.util.List;
import org.jspecify.annotations.Nullable;

/** Sizes and groups as one JSON object, written as it is made. */
final class TopologyJson {
  private TopologyJson() {}

  static void print(
      Topology topology, List<GroupKind> kinds, @Nullable Integer rank, PrintWriter out)
      throws IOException {
    try (JsonGenerator json =
        new ObjectMapper()
            .getFactory()
            .createGenerator(out)
            .disable(JsonGenerator.Feature.AUTO_CLOSE_TARGET)) {
      json.writeStartObject();
      sizes(topology.sizes(), json);
      if (rank != null) {
        json.writeNumberField("rank", rank);
      }
      json.writeObjectFieldStart("groups");
      for (GroupKind kind : kinds) {
        json.writeFieldName(kind.label());
        if (rank != null) {
          group(topology.group(kind, rank), json);
          continue;
        }
        json.writeStartArray();
        for (RankGroup group : topology.groups(kind)) {
          group(group, json);
        }
        json.writeEndArray();
        ClosedOutputException.check(out);
      }
      json.writeEndObject();
      json.writeEndObject();
    }
    out.println();
  }

  private static void sizes(ParallelSizes sizes, JsonGenerator json) throws IOException {
    json.writeObjectFieldStart("sizes");
    json.writeNumberField("world", sizes.world());
    json.writeNumberField("tp", sizes.tensor());
    json.writeNumberField("cp", sizes.context());
    json.writeNumberField("dp", sizes.data());
    json.writeNumberField("pp", sizes.pipeline());
    json.writeNumberField("etp", sizes.expertTensor());
    json.writeNumberField("ep", sizes.expert());
    json.writeNumberField("edp", sizes.expertData());
    json.writeStringField("order", sizes.order().toString());
    json.writeEndObject();
  }

  private static void group(RankGroup group, JsonGenerator json) throws IOException {
    json.writeStartArray();
    for (int i = 0; i < group.size(); i++) {
      json.writeNumber(group.rank(i));
    }
    json.writeEndArray();
  }
}
