// Rewrites a strided layer, and every gradient, as a convolution of stride 1.
#include <algorithm>

#include "caffe/native/convolution.hpp"

namespace caffe {
namespace native {
namespace {

int floor_div(int a, int b) { return a >= 0 ? a / b : -((b - 1 - a) / b); }

// The gradient of the picture is a convolution of the result's gradient.
Geometry turned(const Geometry& g) {
  Geometry q = g;
  q.channels = g.maps;
  q.height = g.out_h;
  q.width = g.out_w;
  q.maps = g.channels;
  q.pad_h = g.dilation_h * (g.kernel_h - 1) - g.pad_h;
  q.pad_w = g.dilation_w * (g.kernel_w - 1) - g.pad_w;
  q.out_h = g.height;
  q.out_w = g.width;
  return q;
}

// Result o reads pixel stride * o - pad + i = stride * (o + t) + r, which lies
// in phase r of the picture. So this is a convolution of stride * stride
// smaller pictures, the phases; some taps of its kernels are zero.
Geometry split(const Geometry& g) {
  Geometry q = g;
  q.channels = g.channels * g.stride_h * g.stride_w;
  q.height = (g.height + g.stride_h - 1) / g.stride_h;
  q.width = (g.width + g.stride_w - 1) / g.stride_w;
  q.pad_h = -floor_div(-g.pad_h, g.stride_h);
  q.pad_w = -floor_div(-g.pad_w, g.stride_w);
  q.kernel_h = floor_div(g.kernel_h - 1 - g.pad_h, g.stride_h) + q.pad_h + 1;
  q.kernel_w = floor_div(g.kernel_w - 1 - g.pad_w, g.stride_w) + q.pad_w + 1;
  q.stride_h = q.stride_w = 1;
  return q;
}

// Results o = q + (r + pad - i) / stride read pixel stride * q + r, if that is
// whole. For all phases r together, o runs from q - low to q + high:
// this is one convolution of the gradient, whose output maps are the phases.
Geometry phased(const Geometry& g) {
  Geometry q = g;
  q.channels = g.maps;
  q.height = g.out_h;
  q.width = g.out_w;
  q.maps = g.channels * g.stride_h * g.stride_w;
  const int high_h = (g.stride_h - 1 + g.pad_h) / g.stride_h;
  const int high_w = (g.stride_w - 1 + g.pad_w) / g.stride_w;
  q.pad_h = std::max(0, (g.kernel_h - 1 - g.pad_h) / g.stride_h);
  q.pad_w = std::max(0, (g.kernel_w - 1 - g.pad_w) / g.stride_w);
  q.kernel_h = q.pad_h + high_h + 1;
  q.kernel_w = q.pad_w + high_w + 1;
  q.stride_h = q.stride_w = 1;
  q.out_h = (g.height + g.stride_h - 1) / g.stride_h;
  q.out_w = (g.width + g.stride_w - 1) / g.stride_w;
  return q;
}

}  // namespace

Geometry shape(Direction direction, const Geometry& g) {
  switch (direction) {
    case kSplit: return split(g);
    case kTurned: return turned(g);
    case kPhased: return phased(g);
    default: return g;
  }
}

float weight_at(Direction direction, const Geometry& g, const float* w, int map,
                int channel, int i, int j) {
  const int phases = g.stride_h * g.stride_w;
  if (direction == kTurned) {
    std::swap(map, channel);
    i = g.kernel_h - 1 - i;
    j = g.kernel_w - 1 - j;
  } else if (direction == kSplit) {
    const Geometry q = split(g);
    const int phase = channel % phases;
    channel /= phases;
    i = (i - q.pad_h) * g.stride_h + phase / g.stride_w + g.pad_h;
    j = (j - q.pad_w) * g.stride_w + phase % g.stride_w + g.pad_w;
  } else if (direction == kPhased) {
    const Geometry q = phased(g);
    const int phase = map % phases;
    map /= phases;
    std::swap(map, channel);
    i = (q.pad_h - i) * g.stride_h + phase / g.stride_w + g.pad_h;
    j = (q.pad_w - j) * g.stride_w + phase % g.stride_w + g.pad_w;
  }
  if (i < 0 || i >= g.kernel_h || j < 0 || j >= g.kernel_w) return 0;
  return w[((size_t(map) * g.channels + channel) * g.kernel_h + i) *
               g.kernel_w + j];
}

}  // namespace native
}  // namespace caffe
