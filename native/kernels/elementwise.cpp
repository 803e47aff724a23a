#include "caffe/native/elementwise.hpp"

#include <algorithm>

#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

const size_t kPart = size_t(1) << 15;  // floats of one job

template <typename Body>
void in_parts(size_t n, const Body& body) {
  parallel(static_cast<int>((n + kPart - 1) / kPart), [&](int i) {
    const size_t at = i * kPart;
    body(at, std::min(kPart, n - at));
  });
}

}  // namespace

bool relu_forward(const float* x, size_t n, float* y) {
  const Kernels& k = kernels();
  in_parts(n, [&](size_t at, size_t m) { k.relu_forward(x + at, m, y + at); });
  return true;
}

bool relu_backward(const float* x, const float* dy, size_t n, float* dx) {
  const Kernels& k = kernels();
  in_parts(n, [&](size_t at, size_t m) {
    k.relu_backward(x + at, dy + at, m, dx + at);
  });
  return true;
}

void sum(const float* a, const float* b, size_t n, float* to) {
  const Kernels& k = kernels();
  in_parts(n, [&](size_t at, size_t m) { k.add(a + at, b + at, m, to + at); });
}

}  // namespace native
}  // namespace caffe
