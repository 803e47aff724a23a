#include "caffe/native/lrn.hpp"

#include <algorithm>

#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {

void lrn_forward(const Lrn& l, const float* x, float* y) {
  const Kernels& k = kernels();
  const bool stream = streamed(l.channels * l.pixels);
  const int blocks = static_cast<int>((l.pixels + kLrnBlock - 1) / kLrnBlock);
  parallel(blocks, [&](int b) {
    const size_t at = size_t(b) * kLrnBlock;
    const int n = static_cast<int>(std::min<size_t>(kLrnBlock, l.pixels - at));
    k.lrn_forward(x + at, y + at, l.channels, l.pixels, n, l.size, l.alpha, l.k,
                  stream, scratch(0, lrn_work(l.size)));
  });
}

void lrn_backward(const Lrn& l, const float* x, const float* dy, bool gate,
                  float* dx) {
  const Kernels& k = kernels();
  const int blocks = static_cast<int>((l.pixels + kLrnBlock - 1) / kLrnBlock);
  parallel(blocks, [&](int b) {
    const size_t at = size_t(b) * kLrnBlock;
    const int n = static_cast<int>(std::min<size_t>(kLrnBlock, l.pixels - at));
    k.lrn_backward(x + at, dy + at, dx + at, l.channels, l.pixels, n, l.size,
                   l.alpha, l.k, gate, scratch(0, lrn_work(l.size)));
  });
}

}  // namespace native
}  // namespace caffe
