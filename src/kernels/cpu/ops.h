// The operations of one instruction set: the functions that fill a KernelTable, with the table's
// signatures and meanings (kernels/kernels.h). Each is defined in the file named above it, which is
// compiled once per ISA.
#pragma once

#include <cstdint>

#include "kernels/kernels.h"

namespace r1::kernels::R1_ISA_NAME {

// gemm.cc
void gemm(const GemmArgs& args);

// pack.cc
void pack_nk(Bf16* b, const float* w_NK, int64_t n, int64_t k, int64_t ldw);
void pack_kn(Bf16* b, const float* w_KN, int64_t k, int64_t n, int64_t ldw);
void pack_kn_bf16(Bf16* b, const Bf16* x_KN, int64_t k, int64_t n, int64_t ldx);
void transpose_bf16(Bf16* out_NT, int64_t ldo, const Bf16* x_TN, int64_t t, int64_t n, int64_t ldx);
void to_bf16(Bf16* y, int64_t ldy, const float* x, int64_t ldx, int64_t t, int64_t n, int64_t n_padded);

// attention.cc
void attention(const AttentionArgs& args);
void append_kv(Bf16* page, int64_t position, const Bf16* k, const Bf16* v, int64_t d_qk, int64_t d_v);

// attention_backward.cc
void attention_backward(const AttentionBackwardArgs& args);

// norm.cc
void rms_norm(Bf16* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t, int64_t d,
              float eps);
void rms_norm_float(float* y, int64_t ldy, float* r_T, const float* x, int64_t ldx, const float* w_D, int64_t t,
                    int64_t d, float eps);
void rms_norm_backward(float* dx, int64_t lddx, bool accumulate, float* dw_D, const float* dy, int64_t lddy,
                       const float* x, int64_t ldx, const float* w_D, const float* r_T, int64_t t, int64_t d);

// activation.cc
void swiglu(Bf16* h, int64_t ldh, const float* gu, int64_t ldgu, int64_t t, int64_t f);
void swiglu_backward(Bf16* dgu, int64_t lddgu, const float* dh, int64_t lddh, const float* gu, int64_t ldgu, int64_t t,
                     int64_t f);

// rope.cc
void rope(float* x, int64_t ldx, int64_t heads, int64_t head_stride, int64_t dim, const int32_t* position_T,
          const float* cos_sin, int64_t t, bool interleaved, bool inverse);

// elementwise.cc
void add(float* y, const float* x, int64_t n);
void add_to(float* y, const float* a, const float* b, int64_t n);
void scale(float* y, float s, int64_t n);
void column_sum(float* out_N, const float* x, int64_t ldx, int64_t t, int64_t n);
double sum_squares(const float* x, int64_t n);

// softmax.cc
void logprob(float* logp_T, float* lse_T, float* entropy_T, const float* logits, int64_t ldl, const int32_t* target_T,
             int64_t t, int64_t v, float inv_temperature);
void logprob_backward(Bf16* dlogits, int64_t ldd, const float* logits, int64_t ldl, const int32_t* target_T,
                      const float* lse_T, const float* g_T, const float* entropy_T, const float* h_T, int64_t t,
                      int64_t v, float inv_temperature);
void softmax_row(float* prob, const float* logits, int64_t v, float inv_temperature);

// moe.cc
void router_logits(float* logits_TE, const Bf16* x, int64_t ldx, const float* gate_ED, int64_t t, int64_t e, int64_t d);
void router_backward(float* dx, int64_t lddx, float* dgate_ED, const float* dlogits_TE, const Bf16* x, int64_t ldx,
                     const float* gate_ED, int64_t t, int64_t e, int64_t d);
void route(float* score_TE, int32_t* expert_TK, float* weight_TK, const float* logits_TE, const float* bias_E,
           int64_t t, const RouteConfig& config);
void route_backward(float* dlogits_TE, const float* dweight_TK, const float* dscore_extra_TE, const float* score_TE,
                    const int32_t* expert_TK, const float* weight_TK, int64_t t, const RouteConfig& config);
void moe_combine(float* y, int64_t ldy, const float* base, int64_t ldb, const float* rows, int64_t ldr,
                 const int32_t* slot_TK, const float* weight_TK, int64_t t, int64_t k, int64_t d);
void moe_combine_backward(Bf16* drows, int64_t lddr, float* dweight_TK, const float* dy, int64_t lddy,
                          const float* rows, int64_t ldr, const int32_t* slot_TK, const float* weight_TK, int64_t t,
                          int64_t k, int64_t d);
void moe_scatter_add(float* dx, int64_t lddx, const float* drows, int64_t lddr, const int32_t* slot_TK, int64_t t,
                     int64_t k, int64_t d);
void balance_loss(float* loss, float* dscore_extra_TE, const float* score_TE, const int32_t* expert_TK, int64_t t,
                  const RouteConfig& config, float alpha);

// adamw.cc
void adamw(const AdamWArgs& args);

// table_isa.cc
const KernelTable& Table();

}  // namespace r1::kernels::R1_ISA_NAME
