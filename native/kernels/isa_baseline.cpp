// The kernels for every machine.
#include "caffe/native/isa.hpp"

#if defined(__aarch64__)
#include <arm_neon.h>
#else
#include <immintrin.h>
#endif

namespace caffe {
namespace native {
namespace {
#define NATIVE_ISA 0
#define NATIVE_NAME "baseline"
#include "caffe/native/isa_body.hpp"
}  // namespace
const Kernels* kernels_baseline() { return &kTable; }
}  // namespace native
}  // namespace caffe
