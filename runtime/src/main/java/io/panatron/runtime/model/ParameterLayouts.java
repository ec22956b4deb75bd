package io.panatron.runtime.model;

import java.util.ArrayList;
import java.util.List;

/** Lists the parameters of one model under the trainer's names and its family's. */
final class ParameterLayouts {
  private static final TensorSplit REPLICATED = new TensorSplit.Replicated(false);
  private static final TensorSplit SUMMED = new TensorSplit.Replicated(true);
  private static final TensorSplit COLUMNS = new TensorSplit.Columns();

  private final ModelConfig config;
  private final WeightNames names;
  private final List<ParameterLayout> parameters = new ArrayList<>();

  ParameterLayouts(ModelConfig config) {
    this.config = config;
    this.names = config.family().weights();
  }

  List<ParameterLayout> all() {
    long hidden = config.hiddenSize();
    TensorSplit vocabulary = new TensorSplit.Vocabulary(config.vocabSize());
    int rows = config.vocabSize();
    table("model.embed_tokens", names.base() + names.embedding(), rows, vocabulary);
    if (config.family().positions() == ModelFamily.PositionKind.LEARNED) {
      table(
          "model.embed_positions",
          names.base() + names.positions(),
          config.maxPositionEmbeddings(),
          REPLICATED);
    }
    for (int layer = 0; layer < config.numLayers(); layer++) {
      layer("model.layers." + layer + ".", names.base() + names.layers() + layer + ".");
    }
    norm("model.norm", names.base() + names.finalNorm(), hidden);
    switch (config.output()) {
      case HeadKind.Vocabulary head -> {
        if (!config.tieWordEmbeddings()) {
          table("lm_head", "lm_head", rows, vocabulary);
        }
      }
      case HeadKind.Scores(int labels) -> table("score", "score", labels, REPLICATED);
      case HeadKind.None head -> {}
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
        config.qkvBias(),
        true);
    if (config.qkNorm()) {
      for (String norm : List.of("self_attn.q_norm.weight", "self_attn.k_norm.weight")) {
        vector(own + norm, theirs + norm, config.headDim(), SUMMED);
      }
    }
    projection(
        own + "self_attn.o_proj",
        theirs,
        List.of(names.attentionOutput()),
        List.of(hidden),
        config.queryRows(),
        config.outputBias(),
        false);
    norm(own + "post_attention_layernorm", theirs + names.mlpNorm(), hidden);
    projection(
        own + "mlp.gate_up_proj",
        theirs,
        names.up(),
        config.activation().gated() ? List.of(ffn, ffn) : List.of(ffn),
        hidden,
        config.mlpBias(),
        true);
    projection(
        own + "mlp.down_proj",
        theirs,
        List.of(names.down()),
        List.of(hidden),
        ffn,
        config.mlpBias(),
        false);
  }

  /** A matrix that is stored with a row for each token, position or label. */
  private void table(String own, String theirs, long rows, TensorSplit split) {
    parameters.add(
        new ParameterLayout(
            own + ".weight",
            List.of(new ParameterLayout.Part(theirs + ".weight", 0, rows)),
            config.hiddenSize(),
            split));
  }

  private void norm(String own, String theirs, long elements) {
    vector(own + ".weight", theirs + ".weight", elements, REPLICATED);
    if (config.family().norm() == ModelFamily.NormKind.LAYER) {
      vector(own + ".bias", theirs + ".bias", elements, REPLICATED);
    }
  }

  private void vector(String own, String theirs, long elements, TensorSplit split) {
    parameters.add(
        new ParameterLayout(own, List.of(new ParameterLayout.Part(theirs, 0, elements)), 0, split));
  }

  /**
   * @param tensors one for all groups of rows, or one for each
   * @param byRows whether ranks share the rows of each group, else the columns
   */
  private void projection(
      String own,
      String theirs,
      List<String> tensors,
      List<Long> groups,
      long columns,
      boolean bias,
      boolean byRows) {
    List<Long> rows =
        tensors.size() == groups.size()
            ? groups
            : List.of(groups.stream().mapToLong(Long::longValue).sum());
    TensorSplit split = byRows ? new TensorSplit.Rows(groups) : COLUMNS;
    add(own + ".weight", theirs, tensors, ".weight", rows, columns, names.transposed(), split);
    if (bias) {
      // The rank that adds the bias of shared columns is the first; the others contribute zeros.
      TensorSplit ofBias = byRows ? split : SUMMED;
      add(own + ".bias", theirs, tensors, ".bias", rows, 0, false, ofBias);
    }
  }

  private void add(
      String own,
      String prefix,
      List<String> tensors,
      String suffix,
      List<Long> rows,
      long columns,
      boolean transposed,
      TensorSplit split) {
    List<ParameterLayout.Part> parts = new ArrayList<>();
    long first = 0;
    for (int i = 0; i < tensors.size(); i++) {
      parts.add(
          new ParameterLayout.Part(
              prefix + tensors.get(i) + suffix, first, rows.get(i), transposed));
      first += rows.get(i);
    }
    parameters.add(new ParameterLayout(own, parts, columns, split));
  }
}
