#include "caffe/native/pooling.hpp"

#include <algorithm>
#include <cfloat>
#include <cstdint>
#include <cstring>

#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

// A plane is cut into jobs of this many rows.
const int kRowsOfAJob = 64;

int jobs_of(int rows) { return (rows + kRowsOfAJob - 1) / kRowsOfAJob; }

}  // namespace

void MaxPool::forward(const PoolGeometry& g, const float* in, float* out) {
  const Kernels& k = kernels();
  const size_t plane = size_t(g.height) * g.width;
  const size_t pooled = size_t(g.out_h) * g.out_w;
  const size_t floats = (bytes(g) + sizeof(float) - 1) / sizeof(float);
  if (taps_.floats() != floats) taps_.resize(floats);
  unsigned char* const taps = reinterpret_cast<unsigned char*>(taps_.data());
  // a row with its border; the last output may read beyond the picture
  const int wide = (g.out_w - 1) * g.stride + 3;
  const int stored = std::max(wide, g.pad_w + g.width) + kBeyond;
  const int cuts = jobs_of(g.out_h);
  parallel(g.planes * cuts, [&](int job) {
    const int q = job / cuts, first = job % cuts * kRowsOfAJob;
    const int last = std::min(g.out_h, first + kRowsOfAJob);
    // a ring of three picture rows y - pad; the border, -FLT_MAX, never wins
    float* const ring = scratch(0, size_t(4) * stored);
    float* const empty = ring + size_t(3) * stored;
    float* const row = scratch(1, size_t(g.out_w) + kBeyond);
    const Finish finish = {NULL, false, false, streamed(pooled * g.planes)};
    for (int i = 0; i < 4 * stored; ++i) ring[i] = -FLT_MAX;
    int have = first * g.stride;  // the next row to put into the ring
    for (int y = first; y < last; ++y) {
      const float* rows[3];
      for (; have < y * g.stride + 3; ++have) {
        const int v = have - g.pad_h;
        if (v >= 0 && v < g.height) {
          std::memcpy(ring + size_t(have % 3) * stored + g.pad_w,
                      in + q * plane + size_t(v) * g.width,
                      g.width * sizeof(float));
        }
      }
      for (int i = 0; i < 3; ++i) {
        const int v = y * g.stride + i - g.pad_h;
        rows[i] = v >= 0 && v < g.height
            ? ring + size_t((y * g.stride + i) % 3) * stored : empty;
      }
      const size_t at = q * pooled + size_t(y) * g.out_w;
      k.pool_row(rows, g.stride, g.out_w, row, taps + at);
      k.finish_row(row, g.out_w, finish, out + at);
    }
  });
}

void MaxPool::backward(const PoolGeometry& g, const float* out_gradient,
                       const float* gate, bool add, float* in_gradient) const {
  const Kernels& k = kernels();
  const size_t plane = size_t(g.height) * g.width;
  const size_t pooled = size_t(g.out_h) * g.out_w;
  const unsigned char* const taps =
      reinterpret_cast<const unsigned char*>(taps_.data());
  const Finish finish = {NULL, false, add,
                         !add && streamed(plane * g.planes)};
  if (g.stride == 1) {
    // Outputs y + pad - 2 ... y + pad read input row y, and likewise columns:
    // so this uses three rows of outputs, with a border that matches no tap.
    const int wide = g.width + 2 + kBeyond;
    const int cuts = jobs_of(g.height);
    parallel(g.planes * cuts, [&](int job) {
      const int q = job / cuts, first = job % cuts * kRowsOfAJob;
      const int last = std::min(g.height, first + kRowsOfAJob);
      float* const grads = scratch(0, size_t(4) * wide);
      float* const marks = scratch(1, size_t(4) * wide);
      float* const row = scratch(2, wide);
      std::fill(grads, grads + size_t(4) * wide, 0.f);
      std::fill(marks, marks + size_t(4) * wide, -1.f);
      // column c of a bordered row is output c + pad_w - 2
      const int from = g.pad_w - 2;
      const int lo = std::max(0, -from);
      const int hi = std::max(lo, std::min(g.width + 2, g.out_w - from));
      int have = first + g.pad_h - 2;
      for (int y = first; y < last; ++y) {
        const float* r[3];
        const float* m[3];
        for (; have <= y + g.pad_h; ++have) {
          if (have < 0 || have >= g.out_h) continue;
          const size_t at = q * pooled + size_t(have) * g.out_w + from;
          const size_t slot = size_t(have % 3) * wide;
          k.pack_row(out_gradient + at + lo, gate ? gate + at + lo : NULL,
                     hi - lo, hi - lo, grads + slot + lo);
          k.widen(taps + at + lo, hi - lo, marks + slot + lo);
        }
        for (int i = 0; i < 3; ++i) {
          const int o = y + g.pad_h - 2 + i;
          const size_t slot =
              size_t(o >= 0 && o < g.out_h ? o % 3 : 3) * wide;
          r[i] = grads + slot;
          m[i] = marks + slot;
        }
        k.unpool_row(r, m, g.width, row);
        k.finish_row(row, g.width, finish,
                     in_gradient + q * plane + size_t(y) * g.width);
      }
    });
    return;
  }
  // Row y of the picture, with its border row v = y + pad, is the first row of
  // the windows of output row v / 2 and the third of those before; or, if v is
  // odd, the second. Likewise columns.
  const int pairs = (g.pad_w + g.width + 1) / 2;
  const int wide = std::max(pairs, g.out_w) + 1 + kBeyond;
  const int cuts = jobs_of(g.height);
  parallel(g.planes * cuts, [&](int job) {
    const int q = job / cuts, first = job % cuts * kRowsOfAJob;
    const int last = std::min(g.height, first + kRowsOfAJob);
    float* const grads = scratch(0, size_t(3) * wide);
    float* const marks = scratch(1, size_t(3) * wide);
    float* const row = scratch(2, size_t(2) * pairs + kBeyond);
    std::fill(grads, grads + size_t(3) * wide, 0.f);
    std::fill(marks, marks + size_t(3) * wide, -1.f);
    int have = std::max(0, (first + g.pad_h) / 2 - 1);
    for (int y = first; y < last; ++y) {
      const int v = y + g.pad_h, o = v / 2;
      for (; have <= o && have < g.out_h; ++have) {
        const size_t at = q * pooled + size_t(have) * g.out_w;
        const size_t slot = size_t(have % 2) * wide + 1;
        k.pack_row(out_gradient + at, gate ? gate + at : NULL, g.out_w, g.out_w,
                   grads + slot);
        k.widen(taps + at, g.out_w, marks + slot);
      }
      const float* r[2] = {NULL, NULL};
      const float* m[2] = {NULL, NULL};
      for (int i = v % 2; i < 2; ++i) {
        const int from = o - 1 + i;
        const size_t slot =
            size_t(from >= 0 && from < g.out_h ? from % 2 : 2) * wide;
        r[i] = grads + slot;
        m[i] = marks + slot;
      }
      k.unpool_pairs(r, m, pairs, row);
      k.finish_row(row + g.pad_w, g.width, finish,
                   in_gradient + q * plane + size_t(y) * g.width);
    }
  });
}

}  // namespace native
}  // namespace caffe
