// 3x3 max pooling, stride 1 or 2, and its gradient.
#ifndef CAFFE_NATIVE_POOLING_HPP_
#define CAFFE_NATIVE_POOLING_HPP_

#include <cstddef>

#include "caffe/native/buffer.hpp"

namespace caffe {
namespace native {

// Shapes: planes of (height, width) to planes of (out_h, out_w).
struct PoolGeometry {
  int planes, height, width;
  int pad_h, pad_w, stride;
  int out_h, out_w;
};

class MaxPool {
 public:
  // Stores the index of each maximum in one byte; Caffe uses four.
  void forward(const PoolGeometry& g, const float* in, float* out);
  // gate: an array like `out`: the gradient counts only where this is > 0; or
  // NULL. add: adds to `in_gradient` instead of overwriting it
  void backward(const PoolGeometry& g, const float* out_gradient,
                const float* gate, bool add, float* in_gradient) const;
  // Caffe's own code does double precision.
  static bool serves(const float*) { return true; }
  static bool serves(const double*) { return false; }
  void forward(const PoolGeometry&, const double*, double*) {}
  void backward(const PoolGeometry&, const double*, const double*, bool,
                double*) const {}
  static size_t bytes(const PoolGeometry& g) {
    return size_t(g.planes) * g.out_h * g.out_w;
  }
  // Releases the memory; the next backward needs a forward before it.
  void forget() { taps_.resize(0); }

 private:
  Buffer taps_;
};

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_POOLING_HPP_
