// Local response normalisation across channels, beta = 3/4:
// y_c = x_c / (k + alpha / size * sum of x_d^2 over |d - c| <= size / 2)^(3/4).
#ifndef CAFFE_NATIVE_LRN_HPP_
#define CAFFE_NATIVE_LRN_HPP_

#include <cstddef>

namespace caffe {
namespace native {

// Arrays are (channels, pixels); size is odd. The two functions share no state.
struct Lrn {
  int channels;
  size_t pixels;
  int size;
  float alpha, k;
};

void lrn_forward(const Lrn& l, const float* x, float* y);
// dx may be dy. gate: dx counts only where x > 0; elsewhere it is 0.
void lrn_backward(const Lrn& l, const float* x, const float* dy, bool gate,
                  float* dx);

// Caffe's own code does other exponents and double precision.
inline bool serves_lrn(float beta) { return beta == .75f; }
inline bool serves_lrn(double) { return false; }
inline void lrn_forward(const Lrn&, const double*, double*) {}
inline void lrn_backward(const Lrn&, const double*, const double*, bool,
                         double*) {}

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_LRN_HPP_
