package io.panatron.bindings.onednn;

import io.panatron.bindings.onednn.generated.OneDnnC;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/** How oneDNN is asked for a matrix multiplication: its primitive descriptor. */
final class MatmulPlan {
  private MatmulPlan() {}

  /** Asks oneDNN for a kernel; the answer belongs to the owner. */
  static MemorySegment create(
      MemorySegment engine,
      MatmulDescription description,
      NativeHandles owner,
      MemorySegment a,
      MemorySegment b,
      MemorySegment c) {
    try (NativeHandles temporary = new NativeHandles()) {
      MemorySegment attributes = attributes(description, temporary);
      return owner.create(
          "dnnl_matmul_primitive_desc_create",
          description,
          out ->
              OneDnnC.dnnl_matmul_primitive_desc_create(
                  out, engine, a, b, MemorySegment.NULL, c, attributes),
          "dnnl_primitive_desc_destroy",
          OneDnnC::dnnl_primitive_desc_destroy);
    }
  }

  private static MemorySegment attributes(MatmulDescription description, NativeHandles temporary) {
    MemorySegment attributes =
        temporary.create(
            "dnnl_primitive_attr_create",
            "",
            OneDnnC::dnnl_primitive_attr_create,
            "dnnl_primitive_attr_destroy",
            OneDnnC::dnnl_primitive_attr_destroy);
    Status.check(
        OneDnnC.dnnl_primitive_attr_set_scratchpad_mode(
            attributes, OneDnnC.dnnl_scratchpad_mode_user()),
        "dnnl_primitive_attr_set_scratchpad_mode",
        "user");
    Status.check(
        OneDnnC.dnnl_primitive_attr_set_fpmath_mode(attributes, description.mode().code()),
        "dnnl_primitive_attr_set_fpmath_mode",
        description.mode());
    if (description.accumulate()) {
      MemorySegment operations =
          temporary.create(
              "dnnl_post_ops_create",
              "",
              OneDnnC::dnnl_post_ops_create,
              "dnnl_post_ops_destroy",
              OneDnnC::dnnl_post_ops_destroy);
      Status.check(
          OneDnnC.dnnl_post_ops_append_sum(operations, 1f, 0, OneDnnC.dnnl_data_type_undef()),
          "dnnl_post_ops_append_sum",
          "scale 1");
      Status.check(
          OneDnnC.dnnl_primitive_attr_set_post_ops(attributes, operations),
          "dnnl_primitive_attr_set_post_ops",
          "sum");
    }
    return attributes;
  }

  /** The name of the kernel that oneDNN chose. */
  static String implementation(MemorySegment plan, MatmulDescription description) {
    try (Arena arena = Arena.ofConfined()) {
      MemorySegment out = arena.allocate(OneDnnC.C_POINTER);
      Status.check(
          OneDnnC.dnnl_primitive_desc_query(plan, OneDnnC.dnnl_query_impl_info_str(), 0, out),
          "dnnl_primitive_desc_query",
          description);
      return out.get(OneDnnC.C_POINTER, 0).getString(0);
    }
  }
}
