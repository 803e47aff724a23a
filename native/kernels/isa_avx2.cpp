// The kernels for x86-64 with AVX2 and FMA (since 2013).
#include "caffe/native/isa.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#pragma GCC target("avx2,fma")

namespace caffe {
namespace native {
namespace {
#define NATIVE_ISA 2
#define NATIVE_NAME "avx2"
#include "caffe/native/isa_body.hpp"
}  // namespace
const Kernels* kernels_avx2() { return &kTable; }
}  // namespace native
}  // namespace caffe
#else
namespace caffe {
namespace native {
const Kernels* kernels_avx2() { return NULL; }
}  // namespace native
}  // namespace caffe
#endif
