// The kernel table of one instruction set.
#include "kernels/cpu/ops.h"

#define R1_STRING_INNER(x) #x
#define R1_STRING(x) R1_STRING_INNER(x)

namespace r1::kernels::R1_ISA_NAME {

const KernelTable& Table() {
  static constexpr KernelTable kTable = {
      .isa = R1_STRING(R1_ISA_NAME),
      .gemm = gemm,
      .pack_nk = pack_nk,
      .pack_kn = pack_kn,
      .pack_kn_bf16 = pack_kn_bf16,
      .transpose_bf16 = transpose_bf16,
      .to_bf16 = to_bf16,
      .attention = attention,
      .attention_backward = attention_backward,
      .append_kv = append_kv,
      .rms_norm = rms_norm,
      .rms_norm_float = rms_norm_float,
      .rms_norm_backward = rms_norm_backward,
      .swiglu = swiglu,
      .swiglu_backward = swiglu_backward,
      .rope = rope,
      .add = add,
      .add_to = add_to,
      .scale = scale,
      .column_sum = column_sum,
      .sum_squares = sum_squares,
      .logprob = logprob,
      .logprob_backward = logprob_backward,
      .softmax_row = softmax_row,
      .router_logits = router_logits,
      .router_backward = router_backward,
      .route = route,
      .route_backward = route_backward,
      .balance_loss = balance_loss,
      .moe_combine = moe_combine,
      .moe_combine_backward = moe_combine_backward,
      .moe_scatter_add = moe_scatter_add,
      .adamw = adamw,
  };
  return kTable;
}

}  // namespace r1::kernels::R1_ISA_NAME
