package io.panatron.runtime.model;

import java.util.ArrayList;
import java.util.List;

/** Lists the parameters of one model under the trainer's names and its family's. */
final class ParameterLayouts {
  private final ModelConfig config;
  private final WeightNames names;
  private final List<ParameterLayout> parameters = new ArrayList<>();

  ParameterLayouts(ModelConfig config) {
    this.config = config;
    this.names = config.family().weights();
  }

  List<ParameterLayout> all() {
    long hidden = config.hiddenSize();
    table("model.embed_tokens", names.base() + names.embedding(), config.vocabSize());
    if (config.family().positions() == ModelFamily.PositionKind.LEARNED) {
      table(
          "model.embed_positions",
          names.base() + names.positions(),
          config.maxPositionEmbeddings());
    }
    for (int layer = 0; layer < config.numLayers(); layer++) {
      layer("model.layers." + layer + ".", names.base() + names.layers() + layer + ".");
    }
    norm("model.norm", names.base() + names.finalNorm(), hidden);
    switch (config.output()) {
      case OutputHead.Vocabulary head -> {
        if (!config.tieWordEmbeddings()) {
          table("lm_head", "lm_head", config.vocabSize());
        }
      }
      case OutputHead.Scores(int labels) -> table("score", "score", labels);
      case OutputHead.None head -> {}
    }
    return List.copyOf(parameters);
  }

  /**
   * @param own the trainer's prefix
   * @param theirs the family's
   */
  private void layer(String own, String theirs) {
    long hidden = config.hiddenSize();
    long ffn = config.intermediateSize();
    norm(own + "input_layernorm", theirs + names.inputNorm(), hidden);
    long keyRows = config.keyValueRows();
    projection(
        own + "self_attn.qkv_proj",
        theirs,
        names.qkv(),
        List.of(config.queryRows(), keyRows, keyRows),
        hidden,
        config.qkvBias());
    if (config.qkNorm()) {
      vector(own + "self_attn.q_norm.weight", theirs + "self_attn.q_norm.weight", config.headDim());
      vector(own + "self_attn.k_norm.weight", theirs + "self_attn.k_norm.weight", config.headDim());
    }
    projection(
        own + "self_attn.o_proj",
        theirs,
        List.of(names.attentionOutput()),
        List.of(hidden),
        config.queryRows(),
        config.outputBias());
    norm(own + "post_attention_layernorm", theirs + names.mlpNorm(), hidden);
    projection(
        own + "mlp.gate_up_proj",
        theirs,
        names.up(),
        config.activation().gated() ? List.of(ffn, ffn) : List.of(ffn),
        hidden,
        config.mlpBias());
    projection(
        own + "mlp.down_proj",
        theirs,
        List.of(names.down()),
        List.of(hidden),
        ffn,
        config.mlpBias());
  }

  /** A matrix that is stored with a row for each token, position or label. */
  private void table(String own, String theirs, long rows) {
    parameters.add(
        new ParameterLayout(
            own + ".weight",
            List.of(new ParameterLayout.Part(theirs + ".weight", 0, rows)),
            config.hiddenSize()));
  }

  private void norm(String own, String theirs, long elements) {
    vector(own + ".weight", theirs + ".weight", elements);
    if (config.family().norm() == ModelFamily.NormKind.LAYER) {
      vector(own + ".bias", theirs + ".bias", elements);
    }
  }

  private void vector(String own, String theirs, long elements) {
    parameters.add(
        new ParameterLayout(own, List.of(new ParameterLayout.Part(theirs, 0, elements)), 0));
  }

  /**
   * @param tensors one for all groups of rows, or one for each
   */
  private void projection(
      String own,
      String theirs,
      List<String> tensors,
      List<Long> groups,
      long columns,
      boolean bias) {
    List<Long> rows =
        tensors.size() == groups.size()
            ? groups
            : List.of(groups.stream().mapToLong(Long::longValue).sum());
    add(own + ".weight", theirs, tensors, ".weight", rows, columns, names.transposed());
    if (bias) {
      add(own + ".bias", theirs, tensors, ".bias", rows, 0, false);
    }
  }

  private void add(
      String own,
      String prefix,
      List<String> tensors,
      String suffix,
      List<Long> rows,
      long columns,
      boolean transposed) {
    List<ParameterLayout.Part> parts = new ArrayList<>();
    long first = 0;
    for (int i = 0; i < tensors.size(); i++) {
      parts.add(
          new ParameterLayout.Part(
              prefix + tensors.get(i) + suffix, first, rows.get(i), transposed));
      first += rows.get(i);
    }
    parameters.add(new ParameterLayout(own, parts, columns));
  }
}
