// A self-test for `r1 doctor`: a small matrix product, norm and softmax computed with every instruction set this
// machine can run. All must give the same bits (kernels/kernels.h promises it).
#pragma once

#include <string>

namespace r1::cli {

struct KernelAgreement {
  bool agree = true;
  int compared = 0;  // instruction sets
  std::string text;  // for people
};

KernelAgreement CompareKernels();

}  // namespace r1::cli
