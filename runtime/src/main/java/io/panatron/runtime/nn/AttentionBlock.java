package io.panatron.runtime.nn;

import io.panatron.kernels.AttentionLayout;
import io.panatron.kernels.DropoutMask;
import io.panatron.kernels.HeadGeometry;
import io.panatron.kernels.Tensor;
import io.panatron.runtime.autograd.Attention;
import io.panatron.runtime.autograd.Parameter;
import io.panatron.runtime.autograd.SplitHeads;
import io.panatron.runtime.autograd.Tape;
import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Grouped-query self-attention: one fused projection to queries, keys and values, optional norms on
 * query and key heads, rotary positions, attention, output projection.
 *
 * @param layer the block's place in the model, which selects its part of the cache
 * @param window the most tokens that a token sees, itself included; {@link
 *     AttentionLayout#NO_WINDOW} for all
 * @param geometry of the heads that this rank has
 * @param qkv weight [fused columns, hidden]: all query rows, then key rows, then value rows
 * @param output weight [hidden, query heads x head dim]
 * @param parallel how ranks share the heads
 */
public record AttentionBlock(
    int layer,
    int window,
    HeadGeometry geometry,
    LinearLayer qkv,
    SplitHeads.@Nullable Norm headNorm,
    LinearLayer output,
    TensorParallel parallel) {

  /** x: [tokens, hidden], taken over; returns [tokens, hidden]. */
  public Tensor forward(Tape tape, Tensor x, SequenceContext context) {
    DropoutPlan dropout = context.dropout();
    Tensor projected = parallel.enter(tape, x, all -> qkv.forward(tape, all, dropout));
    SplitHeads.Rotation rotation =
        new SplitHeads.Rotation(geometry, context.positions(), context.rotary());
    SplitHeads.Heads heads = SplitHeads.forward(tape, projected, rotation, headNorm);
    AttentionLayout layout = context.layout();
    if (context.cache() != null) {
      KeyValueCache.View seen =
          context.cache().append(tape, layer, heads.k(), heads.v(), context.layout());
      tape.release(heads.k());
      tape.release(heads.v());
      heads = new SplitHeads.Heads(heads.q(), seen.keys(), seen.values());
      layout = seen.layout();
    }
    double scale = 1 / Math.sqrt(geometry.headDim());
    DropoutMask mask = context.dropout().attention(layer, geometry.queryHeads());
    Tensor attended = Attention.forward(tape, heads, layout.withWindow(window), scale, mask);
    if (headNorm != null && context.recompute().contains(RecomputeModule.CORE_ATTN)) {
      SplitHeads.discardHeads(tape, projected, rotation, headNorm, heads);
    }
    return parallel.leave(tape, output.forward(tape, attended, dropout));
  }

  List<Parameter> parameters() {
    List<Parameter> parameters = new ArrayList<>(qkv.parameters());
    if (headNorm != null) {
      parameters.add(headNorm.query());
      parameters.add(headNorm.key());
    }
    parameters.addAll(output.parameters());
    return parameters;
  }
}
