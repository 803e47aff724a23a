// ReLU and sums over whole arrays, shared by the threads.
#ifndef CAFFE_NATIVE_ELEMENTWISE_HPP_
#define CAFFE_NATIVE_ELEMENTWISE_HPP_

#include <cstddef>

namespace caffe {
namespace native {

// These return false, and do nothing, for double: Caffe's own code does that.
bool relu_forward(const float* x, size_t n, float* y);
bool relu_backward(const float* x, const float* dy, size_t n, float* dx);
inline bool relu_forward(const double*, size_t, double*) { return false; }
inline bool relu_backward(const double*, const double*, size_t, double*) {
  return false;
}
void sum(const float* a, const float* b, size_t n, float* to);

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_ELEMENTWISE_HPP_
