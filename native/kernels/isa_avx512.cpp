// The kernels for x86-64 with AVX-512.
#include "caffe/native/isa.hpp"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#include <immintrin.h>
#pragma GCC target("avx512f,avx512bw,avx512vl,avx512dq,avx2,fma,prefer-vector-width=512")

namespace caffe {
namespace native {
namespace {
#define NATIVE_ISA 512
#define NATIVE_NAME "avx512"
#include "caffe/native/isa_body.hpp"
}  // namespace
const Kernels* kernels_avx512() { return &kTable; }
}  // namespace native
}  // namespace caffe
#else
namespace caffe {
namespace native {
const Kernels* kernels_avx512() { return NULL; }
}  // namespace native
}  // namespace caffe
#endif
