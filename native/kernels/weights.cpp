// Weights in the order in which the products read them.
#include <algorithm>
#include <cstring>
#include <vector>

#include "caffe/native/convolution.hpp"
#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

uint64_t sum_of_part(const float* w, size_t n) {
  uint32_t lanes[kHashLanes];
  for (int i = 0; i < kHashLanes; ++i) lanes[i] = i;
  kernels().hash(w, n, lanes);
  uint64_t sum = n;
  for (int i = 0; i < kHashLanes; ++i) {
    sum = (sum ^ lanes[i]) * UINT64_C(0x9e3779b97f4a7c15);
    sum ^= sum >> 29;
  }
  for (size_t at = n - n % kHashLanes; at < n; ++at) {
    uint32_t bits;
    std::memcpy(&bits, w + at, sizeof(bits));
    sum = (sum ^ bits) * UINT64_C(0x9e3779b97f4a7c15);
    sum ^= sum >> 29;
  }
  return sum;
}

// A checksum: it differs if a single weight changes. To read them all takes a
// tenth of a step of 112x112 with one thread.
uint64_t sum_of(const float* w, size_t n) {
  const size_t part = size_t(1) << 14;
  std::vector<uint64_t> sums((n + part - 1) / part);
  parallel(static_cast<int>(sums.size()), [&](int i) {
    sums[i] = sum_of_part(w + i * part, std::min(part, n - i * part));
  });
  uint64_t sum = 0;
  for (uint64_t each : sums) {
    sum = (sum ^ each) * UINT64_C(0x9e3779b97f4a7c15);
    sum ^= sum >> 29;
  }
  return sum;
}

void pack_direct(const Geometry& g, Direction direction, const float* w,
                 float* packed) {
  const Geometry q = shape(direction, g);
  const int area = q.kernel_h * q.kernel_w, k = q.channels * area;
  const int strips = (q.maps + kStrip - 1) / kStrip;
  parallel(strips, [&](int s) {
    float* const to = packed + size_t(s) * k * kStrip;
    for (int r = 0; r < kStrip; ++r) {
      const int row = s * kStrip + r;
      for (int c = 0; c < q.channels; ++c) {
        float* const t = to + size_t(c) * area * kStrip + r;
        for (int i = 0; i < area; ++i) {
          t[i * kStrip] = row < q.maps
              ? weight_at(direction, g, w, row, c, i / q.kernel_w,
                          i % q.kernel_w)
              : 0;
        }
      }
    }
  });
}

}  // namespace

const float* Weights::get(Kind kind, Direction direction, const Geometry& g,
                          const float* w) {
  if (direction == kForward || direction == kSplit || !sum_is_known_) {
    sum_ = sum_of(w, size_t(g.maps) * g.channels * g.kernel_h * g.kernel_w);
    sum_is_known_ = true;
  }
  Packed& p = packed_[std::make_pair(kind, direction)];
  if (p.known && p.sum == sum_) return p.data.data();
  const Geometry q = shape(direction, g);
  const size_t strips = (q.maps + kStrip - 1) / kStrip;
  const size_t area = kind == kDirect ? q.kernel_h * q.kernel_w : 36;
  const size_t floats = strips * kStrip * q.channels * area;
  if (p.data.floats() != floats) p.data.resize(floats);
  if (kind == kDirect) {
    pack_direct(g, direction, w, p.data.data());
  } else {
    winograd_weights(g, direction, w, p.data.data());
  }
  p.sum = sum_;
  p.known = true;
  return p.data.data();
}

}  // namespace native
}  // namespace caffe
