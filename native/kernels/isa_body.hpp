// Each isa_*.cpp compiles all of this in its own namespace, so that the linker
// cannot mix them. Do not include the standard library here: its templates
// would be compiled for these instructions and used everywhere.
#include "caffe/native/simd.hpp"

#include "caffe/native/body_product.hpp"

#include "caffe/native/body_winograd.hpp"

#include "caffe/native/body_pool.hpp"

#include "caffe/native/body_lrn.hpp"

#include "caffe/native/body_relu.hpp"

const Kernels kTable = {
    NATIVE_NAME,   product,      pack_row,     pack_panels,
    hash,          winograd_input,
    winograd_output, finish_row,    pool_row,     unpool_row,
    unpool_pairs,  widen,
    lrn_forward,   lrn_backward,    relu_forward, relu_backward,
    add};
