// Speed of the products, packing and attention of every kernel table this machine runs, on one
// thread. Matrix tiles run at two speeds on some virtual machines, changing within milliseconds.
// Each measurement is therefore taken in short slices, and between them a probe measures what the
// tiles can do at that moment: `peak` is the probe (2 x 2 tiles, one load from the first cache for
// every product), `share` the ratio of both. Compare shares, not rates.
#include <benchmark/benchmark.h>
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/rng.h"
#include "base/threads.h"
#include "kernels/kernels.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace r1::kernels {
namespace {

// Processor time of this thread, so that other work on the machine does not count.
double Now() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}
double Seconds(double from) { return Now() - from; }

template <class T>
struct Aligned {
  explicit Aligned(int64_t n) : storage(static_cast<size_t>(n) + 64 / sizeof(T)) {
    const auto address = reinterpret_cast<uintptr_t>(storage.data());
    data = storage.data() + ((address + 63) / 64 * 64 - address) / sizeof(T);
    size = n;
  }
  std::vector<T> storage;
  T* data;
  int64_t size;
};

Aligned<Bf16> RandomBf16(int64_t n) {
  Aligned<Bf16> out(n);
  Rng rng(1, Stream::kTest);
  for (int64_t i = 0; i < n; ++i) out.data[i] = ToBf16(static_cast<float>(rng.Normal()));
  return out;
}
Aligned<float> RandomFloat(int64_t n) {
  Aligned<float> out(n);
  Rng rng(2, Stream::kTest);
  for (int64_t i = 0; i < n; ++i) out.data[i] = static_cast<float>(rng.Normal());
  return out;
}

#if defined(__x86_64__)
struct alignas(64) TileConfig {
  uint8_t palette = 1, start_row = 0, reserved[14] = {};
  uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};

// Floating-point operations a second of the tiles now, over about 30 microseconds. The caller's
// tile shapes are kept.
__attribute__((target("amx-tile,amx-bf16"))) double TilePeak() {
  static const Aligned<Bf16> operands = RandomBf16(4 * 512);
  TileConfig before, full;
  _tile_storeconfig(&before);
  asm volatile("" ::"r"(&full) : "memory");
  _tile_loadconfig(&full);
  constexpr int kRounds = 600;
  for (int i = 0; i < 4; ++i) _tile_loadd(0, operands.data, 64);
  _tile_zero(0);
  _tile_zero(1);
  _tile_zero(2);
  _tile_zero(3);
  const auto start = Now();
  for (int i = 0; i < kRounds; ++i) {
    _tile_loadd(4, operands.data, 64);
    _tile_loadd(6, operands.data + 1024, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_loadd(5, operands.data + 512, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_loadd(7, operands.data + 1536, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_dpbf16ps(3, 5, 7);
  }
  alignas(64) float sink[256];
  _tile_stored(3, sink, 64);
  benchmark::DoNotOptimize(sink[0]);
  const double rate = kRounds * 4 * 2.0 * 16 * 16 * 32 / Seconds(start);
  asm volatile("" ::"r"(&before) : "memory");
  if (before.palette != 0) _tile_loadconfig(&before);
  return rate;
}
#else
double TilePeak() { return 0; }
#endif

// Runs `work` (of `flops` operations) in slices of about 200 microseconds with a probe after each.
void Measure(benchmark::State& state, const KernelTable& table, double flops, double items,
             const std::function<void()>& work) {
  SetFloatMode();
  const bool tiles = std::string(table.isa) == "amx";
  work();
  const auto start = Now();
  work();
  const int repeats = 1 + static_cast<int>(200e-6 / (Seconds(start) + 1e-9));
  double seconds = 0, peak_seconds = 0;
  for (auto _ : state) {
    const auto begin = Now();
    for (int i = 0; i < repeats; ++i) work();
    const double slice = Seconds(begin);
    state.SetIterationTime(slice);
    seconds += slice;
    if (tiles) peak_seconds += 1 / TilePeak();
  }
  const double iterations = static_cast<double>(state.iterations());
  const double rate = flops * repeats * iterations / seconds;
  if (flops > 0) state.counters["TFLOP/s"] = rate / 1e12;
  if (items > 0) state.counters["ns/item"] = seconds / (iterations * repeats * items) * 1e9;
  if (tiles) {
    const double peak = iterations / peak_seconds;
    state.counters["peak"] = peak / 1e12;
    if (flops > 0) state.counters["share"] = rate / peak;
  }
}

void Gemm(benchmark::State& state, const KernelTable* table, int64_t m, int64_t n, int64_t k) {
  const Aligned<Bf16> a = RandomBf16(m * RoundUp(k, 32)), b = RandomBf16(PackedElements(k, n));
  Aligned<float> c(m * n);
  Measure(state, *table, 2.0 * static_cast<double>(m * n * k), 0, [&] {
    table->gemm({a.data, RoundUp(k, 32), b.data, c.data, n, m, n, k, false});
  });
}

// One item is one element packed.
void Pack(benchmark::State& state, const KernelTable* table, const std::string& which, int64_t n, int64_t k) {
  const Aligned<float> w = RandomFloat(n * k);
  const Aligned<Bf16> x = RandomBf16(n * k);
  Aligned<Bf16> out(PackedElements(k, n) + PackedElements(n, k));
  Measure(state, *table, 0, static_cast<double>(n * k), [&] {
    if (which == "nk") table->pack_nk(out.data, w.data, n, k, k);
    if (which == "kn") table->pack_kn(out.data, w.data, k, n, n);
    if (which == "kn_bf16") table->pack_kn_bf16(out.data, x.data, k, n, n);
    if (which == "transpose") table->transpose_bf16(out.data, RoundUp(n, 32), x.data, n, k, k);
    if (which == "to_bf16") table->to_bf16(out.data, k, w.data, k, n, k, k);
  });
}

// Sequences and heads differ, so that the keys and values come from the second cache or further, as
// in use.
struct Heads {
  Heads(const KernelTable& table, int64_t count, int64_t t, int64_t d_qk, int64_t d_v)
      : t(t),
        d_qk(d_qk),
        d_v(d_v),
        ld(RoundUp(d_qk, 32)),
        ldv(RoundUp(d_v, 32)),
        elements(PageElements(d_qk, d_v) * (RoundUp(t, 32) / 32)),
        q(RandomBf16(count * t * ld)),
        k(RandomBf16(count * t * ld)),
        v(RandomBf16(count * t * ldv)),
        pages(count * elements),
        out(count * t * d_v),
        dout(RandomFloat(t * d_v)),
        max(count * t),
        sum(count * t),
        dq(t * d_qk),
        dk(t * d_qk),
        dv(t * d_v),
        scratch(std::max(AttentionScratch(t, 0), AttentionBackwardScratch(t, d_qk, d_v))) {
    for (int64_t i = 0; i < count; ++i) {
      for (int64_t p = 0; p < t; ++p) {
        table.append_kv(pages.data + i * elements + p / 32 * PageElements(d_qk, d_v), p, k.data + (i * t + p) * ld,
                        v.data + (i * t + p) * ldv, d_qk, d_v);
      }
      Forward(table, i, 0, t);
    }
  }
  void Forward(const KernelTable& table, int64_t i, int64_t first, int64_t rows) {
    table.attention({.q = q.data + (i * t + first) * ld,
                     .ldq = ld,
                     .kv = {.base = pages.data + i * elements, .stride = PageElements(d_qk, d_v)},
                     .rows = rows,
                     .first_position = first,
                     .d_qk = d_qk,
                     .d_v = d_v,
                     .scale = 0.1f,
                     .out = out.data + (i * t + first) * d_v,
                     .ldo = d_v,
                     .max = max.data + i * t + first,
                     .sum = sum.data + i * t + first,
                     .scratch = scratch.data});
  }
  void Backward(const KernelTable& table, int64_t i) {
    table.attention_backward({.q = q.data + i * t * ld,
                              .k = k.data + i * t * ld,
                              .v = v.data + i * t * ldv,
                              .ldq = ld,
                              .ldk = ld,
                              .ldv = ldv,
                              .out = out.data + i * t * d_v,
                              .ldo = d_v,
                              .dout = dout.data,
                              .lddo = d_v,
                              .max = max.data + i * t,
                              .sum = sum.data + i * t,
                              .t = t,
                              .d_qk = d_qk,
                              .d_v = d_v,
                              .scale = 0.1f,
                              .dq = dq.data,
                              .dk = dk.data,
                              .dv = dv.data,
                              .lddq = d_qk,
                              .lddk = d_qk,
                              .lddv = d_v,
                              .scratch = scratch.data});
  }
  int64_t t, d_qk, d_v, ld, ldv, elements;
  Aligned<Bf16> q, k, v, pages, out;
  Aligned<float> dout, max, sum, dq, dk, dv, scratch;
};

// One item is one query row (a token in a head). Operations are those of the visible half of the
// scores.
void Attention(benchmark::State& state, const KernelTable* table, const std::string& which, int64_t t, int64_t d_qk,
               int64_t d_v) {
  const bool decode = which.substr(0, 6) == "decode", backward = which == "backward";
  const int64_t count = which == "decode"      ? 1024
                        : which == "decode_l2" ? 32
                                               : 16;  // 1024: 256 sequences of 4 heads, beyond the second cache
  Heads heads(*table, count, t, d_qk, d_v);
  const double rows = static_cast<double>(decode ? count : count * t);
  const double keys = static_cast<double>(decode ? t : (t + 1) / 2.0);
  const double products =
      backward ? 3.0 * static_cast<double>(d_qk) + 2.0 * static_cast<double>(d_v) : static_cast<double>(d_qk + d_v);
  Measure(state, *table, 2 * rows * keys * products, rows, [&] {
    for (int64_t i = 0; i < count; ++i) {
      if (decode)
        heads.Forward(*table, i, t - 1, 1);
      else if (backward)
        heads.Backward(*table, i);
      else
        heads.Forward(*table, i, 0, t);
    }
  });
}

void Register() {
  const auto add = [](const std::string& name, auto function, auto... args) {
    benchmark::RegisterBenchmark(name.c_str(), [=](benchmark::State& state) { function(state, args...); })
        ->UseManualTime()
        ->MinTime(0.2);
  };
  for (const char* const* isa = AvailableIsas(); *isa != nullptr; ++isa) {
    const KernelTable* table = KernelsFor(*isa);
    const std::string prefix = std::string(*isa) + "/";
    const auto dims = [](auto... d) {
      std::string out;
      ((out += "/" + std::to_string(d)), ...);
      return out;
    };
    for (int64_t m : {1, 4, 8, 16, 64, 256, 1024}) {
      for (auto [n, k] : {std::pair<int64_t, int64_t>{128, 128}, {512, 128}, {128, 512}, {1024, 256}}) {
        add(prefix + "gemm" + dims(m, n, k), Gemm, table, m, n, k);
      }
    }
    for (const char* which : {"nk", "kn", "kn_bf16", "transpose", "to_bf16"}) {
      add(prefix + "pack/" + which + dims(512, 128), Pack, table, std::string(which), int64_t{512}, int64_t{128});
    }
    for (auto [t, d_qk] : {std::pair<int64_t, int64_t>{256, 32}, {96, 48}, {40, 32}}) {
      add(prefix + "attention/forward" + dims(t, d_qk, 32), Attention, table, std::string("forward"), t, d_qk,
          int64_t{32});
      add(prefix + "attention/backward" + dims(t, d_qk, 32), Attention, table, std::string("backward"), t, d_qk,
          int64_t{32});
    }
    for (int64_t d_qk : {32, 64}) {
      for (const char* which : {"decode", "decode_l2"}) {
        add(prefix + "attention/" + which + dims(80, d_qk, 32), Attention, table, std::string(which), int64_t{80}, d_qk,
            int64_t{32});
      }
    }
  }
}

}  // namespace
}  // namespace r1::kernels

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 64;
  r1::kernels::Register();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
