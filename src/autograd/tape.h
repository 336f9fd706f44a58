// Recording and running backward. An op is one function: check, forward, record backward (autograd/ops.h). With
// recording off (tape == nullptr) the same function is inference.
//
// A Var is a matrix [rows, cols]. Its value is float (data), or bf16 (data16) when it is only ever the left side of a
// product. Its gradient is float (grad), or bf16 (grad16) when the only consumer's backward produces just what the next
// product reads. Gradients are plain memory, made on first use; `GradOf` says whether the caller must write or add.
#pragma once

#include <cstdint>
#include <new>
#include <type_traits>
#include <utility>
#include <vector>

#include "kernels/kernels.h"
#include "tensor/arena.h"

namespace r1 {

struct Var {
  int64_t rows = 0, cols = 0;
  float* data = nullptr;   // [rows, cols], ld = cols
  Bf16* data16 = nullptr;  // [rows, ld16], ld16 = RoundUp(cols, 32), padding zero
  int64_t ld16 = 0;
  float* grad = nullptr;   // [rows, cols]
  Bf16* grad16 = nullptr;  // [rows, ld16g], ld16g = RoundUp(cols, 32), padding zero
  int64_t ld16g = 0;
  bool needs_grad = true;
};

// `offset` of a frozen weight: it takes no gradient.
constexpr int64_t kFrozen = -1;
struct LowRank;  // autograd/ops.h

// A matrix [n, k] used as y = x·Wᵀ. `offset` places it in the flat vector of gradients.
struct Weight {
  const float* w = nullptr;
  const Bf16* forward = nullptr;   // packed Wᵀ
  const Bf16* backward = nullptr;  // packed W; null where no input gradient is needed
  int64_t n = 0, k = 0;
  int64_t offset = 0;
  const LowRank* low_rank = nullptr;  // added to its product
  int64_t low_rank_count = 0;
};

// Backward steps of one forward pass, run in reverse. Closures live in the arena; their captures must be trivially
// destructible.
class Tape {
 public:
  explicit Tape(Arena& arena) : arena_(arena) {}
  template <class F>
  void Record(F f) {
    static_assert(std::is_trivially_destructible_v<F>, "captures must be plain pointers and numbers");
    void* place = arena_.Bytes(sizeof(F));
    steps_.push_back({[](void* p) { (*static_cast<F*>(p))(); }, new (place) F(std::move(f))});
  }
  void Backward() {
    for (size_t i = steps_.size(); i-- > 0;) steps_[i].run(steps_[i].closure);
    steps_.clear();
  }
  void Clear() { steps_.clear(); }
  size_t size() const { return steps_.size(); }

 private:
  struct Step {
    void (*run)(void*);
    void* closure;
  };
  Arena& arena_;
  std::vector<Step> steps_;
};

// What one thread needs to run ops: memory, the kernels, where parameter gradients go. Contexts are independent of each
// other.
struct Context {
  Arena arena;    // lives until the end of the step
  Arena scratch;  // lives until the end of an op
  Tape tape{arena};
  bool recording = false;
  bool low_rank = true;         // false: products leave out Weight::low_rank, the model is the one without adapter
  float* param_grad = nullptr;  // flat gradient vector (Weight::offset) that backward adds to
  const kernels::KernelTable* k = &kernels::Kernels();

  void Reset() {
    tape.Clear();
    arena.Reset();
    scratch.Reset();
  }
};

Var* NewVar(Context& ctx, int64_t rows, int64_t cols);    // float value, not initialised
Var* NewVar16(Context& ctx, int64_t rows, int64_t cols);  // bf16 value, not initialised

struct GradRef {
  float* grad;
  bool fresh;  // nothing written yet: write; otherwise add
};
GradRef GradOf(Context& ctx, Var* v);
// The bf16 gradient that a product's backward reads: grad16 as it is, or grad rounded into scratch. Null if v got no
// gradient.
struct Grad16Ref {
  const Bf16* grad;
  int64_t ld;
};
Grad16Ref Grad16Of(Context& ctx, Var* v);
// Where backward adds the gradient of `count` values at `offset`: in param_grad, or scratch memory that nobody reads if
// they are frozen.
float* ParamGradOf(Context& ctx, int64_t offset, int64_t count);
// Makes the bf16 gradient of v (not initialised).
Bf16* NewGrad16(Context& ctx, Var* v);

}  // namespace r1
