// The kernel tables that isa_*.cpp define; NULL if this build lacks them.
#ifndef CAFFE_NATIVE_ISA_HPP_
#define CAFFE_NATIVE_ISA_HPP_

#include "caffe/native/kernels.hpp"

namespace caffe {
namespace native {

const Kernels* kernels_baseline();
const Kernels* kernels_avx2();
const Kernels* kernels_avx512();

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_ISA_HPP_
