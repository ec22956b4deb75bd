package io.panatron.runtime.model.lora;

import io.panatron.kernels.LowRank;
import io.panatron.runtime.model.ParameterLayout;
import java.util.ArrayList;
import java.util.List;

/**
 * A module that gets an adapter, and the tensors of PEFT's files that it is made of.
 *
 * <p>A linear layer's A has the rows of one group after another, each of the adapter's rank. Where
 * several projections of a fused one share an A, files hold it once for each of them.
 *
 * @param module the trainer's name, such as {@code model.layers.0.self_attn.qkv_proj}
 * @param embedding whether it is an embedding, whose A has a row for each token
 * @param in columns of a linear layer's weight; rows of an embedding's table
 * @param groups of output columns, each with an A of its own, in their order
 */
public record AdaptedModule(String module, boolean embedding, long in, List<Group> groups) {
  /** What stands before every name in PEFT's files. */
  public static final String PREFIX = "base_model.model.";

  /**
   * Output columns that share one A.
   *
   * @param parts the projections they belong to, one after another
   */
  public record Group(List<Part> parts) {
    public Group {
      parts = List.copyOf(parts);
    }

    long columns() {
      return parts.stream().mapToLong(Part::columns).sum();
    }
  }

  /**
   * A projection as Hugging Face names it.
   *
   * @param hfModule such as {@code model.layers.0.self_attn.q_proj}
   * @param first column of the fused output
   */
  public record Part(String hfModule, long first, long columns) {}

  public AdaptedModule {
    groups = List.copyOf(groups);
  }

  String downName() {
    return module + ".lora_A";
  }

  String upName() {
    return module + ".lora_B";
  }

  List<LowRank.Block> blocks() {
    List<LowRank.Block> blocks = new ArrayList<>();
    for (Group group : groups) {
      int first = Math.toIntExact(group.parts().getFirst().first());
      blocks.add(new LowRank.Block(first, Math.toIntExact(group.columns())));
    }
    return blocks;
  }

  /** The Hugging Face names of its projections. */
  List<String> hfModules() {
    return groups.stream().flatMap(group -> group.parts().stream()).map(Part::hfModule).toList();
  }

  /**
   * A and B with the names of PEFT's files.
   *
   * @param copies whether a shared A stands there once for each of its projections
   */
  List<ParameterLayout> layouts(int rank, boolean copies) {
    List<ParameterLayout> layouts = new ArrayList<>();
    if (embedding) {
      Part part = groups.getFirst().parts().getFirst();
      String name = PREFIX + part.hfModule() + ".lora_embedding_";
      var down = new ParameterLayout.Part(name + "A", 0, in, true);
      var up = new ParameterLayout.Part(name + "B", 0, part.columns());
      layouts.add(new ParameterLayout(downName(), List.of(down), rank));
      layouts.add(new ParameterLayout(upName(), List.of(up), rank));
      return layouts;
    }
    int most = groups.stream().mapToInt(group -> group.parts().size()).max().orElseThrow();
    for (int copy = 0; copy < (copies ? most : 1); copy++) {
      List<ParameterLayout.Part> down = new ArrayList<>();
      for (int g = 0; g < groups.size(); g++) {
        List<Part> parts = groups.get(g).parts();
        String hfModule = parts.get(Math.min(copy, parts.size() - 1)).hfModule();
        String name = PREFIX + hfModule + ".lora_A.weight";
        down.add(new ParameterLayout.Part(name, (long) g * rank, rank));
      }
      layouts.add(new ParameterLayout(downName(), down, in));
    }
    List<ParameterLayout.Part> up = new ArrayList<>();
    long row = 0;
    for (Group group : groups) {
      for (Part part : group.parts()) {
        String name = PREFIX + part.hfModule() + ".lora_B.weight";
        up.add(new ParameterLayout.Part(name, row, part.columns()));
        row += part.columns();
      }
    }
    layouts.add(new ParameterLayout(upName(), up, rank));
    return layouts;
  }

  /** Whether several projections share an A. */
  boolean shares() {
    return groups.stream().anyMatch(group -> group.parts().size() > 1);
  }
}
