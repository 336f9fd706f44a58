// Chooses the float32 operations of an instruction set.
#include <cstring>

#include "base/check.h"
#include "kernels/float_kernels.h"

namespace r1::kernels {

namespace portable {
const FloatKernels& FloatTable();
}
#if defined(R1_X86)
namespace avx2 {
const FloatKernels& FloatTable();
}
namespace avx512 {
const FloatKernels& FloatTable();
}
namespace amx {
const FloatKernels& FloatTable();
}
#endif

const FloatKernels& FloatKernelsOf(const KernelTable& table) {
  const auto is = [&](const char* isa) { return std::strcmp(table.isa, isa) == 0; };
#if defined(R1_X86)
  if (is("avx2")) return avx2::FloatTable();
  if (is("avx512")) return avx512::FloatTable();
  if (is("amx")) return amx::FloatTable();
#endif
  R1_CHECK(is("portable"), "a kernel table of an unknown instruction set");
  return portable::FloatTable();
}

}  // namespace r1::kernels
