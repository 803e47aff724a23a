// Convolution as a matrix product, in bands: a few panels of pixels are
// gathered and multiplied while they are in the L2 cache. Caffe's column buffer
// for the whole picture took half its memory and most of its cache misses.
#include <algorithm>
#include <cstring>

#include "caffe/native/convolution.hpp"
#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

// Gathers the columns of a panel's pixels [p, p + n); rows are (channel, i, j).
void gather(const Geometry& g, const float* picture,
            const float* gate, int p, int n, int width, float* to) {
  const size_t plane = size_t(g.height) * g.width;
  for (int c = 0; c < g.channels; ++c) {
    const float* const im = picture + c * plane;
    const float* const open = gate ? gate + c * plane : NULL;
    for (int i = 0; i < g.kernel_h; ++i) {
      for (int j = 0; j < g.kernel_w; ++j, to += width) {
        int y = p / g.out_w, x = p % g.out_w, done = 0;
        while (done < n) {  // one row of the result at a time
          const int m = std::min(n - done, g.out_w - x);
          const int v = y * g.stride_h - g.pad_h + i * g.dilation_h;
          const int u = x * g.stride_w - g.pad_w + j * g.dilation_w;
          float* const t = to + done;
          if (v < 0 || v >= g.height) {
            std::memset(t, 0, m * sizeof(float));
          } else {
            const float* const row = im + size_t(v) * g.width;
            const float* const ajar = open ? open + size_t(v) * g.width : NULL;
            const int s = g.stride_w;
            // t[lo..hi) is inside the picture
            const int lo = std::min(m, u < 0 ? (-u + s - 1) / s : 0);
            const int hi = u >= g.width
                ? lo : std::max(lo, std::min(m, (g.width - 1 - u) / s + 1));
            for (int a = 0; a < lo; ++a) t[a] = 0;
            if (ajar) {
              for (int a = lo; a < hi; ++a) {
                t[a] = ajar[u + a * s] > 0 ? row[u + a * s] : 0;
              }
            } else if (s == 1) {
              std::memcpy(t + lo, row + u + lo, (hi - lo) * sizeof(float));
            } else {
              for (int a = lo; a < hi; ++a) t[a] = row[u + a * s];
            }
            for (int a = hi; a < m; ++a) t[a] = 0;
          }
          done += m;
          x = 0;
          ++y;
        }
        for (int a = n; a < width; ++a) to[a] = 0;
      }
    }
  }
}

}  // namespace

void convolve_direct(const Geometry& g, const float* picture, const float* w,
                     const Task& task, float* out) {
  const Kernels& k = kernels();
  const int depth = g.channels * g.kernel_h * g.kernel_w;
  const int pixels = g.out_h * g.out_w;
  const int panels = (pixels + kPanel - 1) / kPanel;
  // a band's columns stay within half a megabyte, and every thread has work
  const int fit = std::max(1, (1 << 17) / (depth * kPanel));
  const int band = std::max(
      1, std::min(std::min(fit, 8), panels / (4 * threads())));
  const int bands = (panels + band - 1) / band;
  // for a small picture, the threads also share the maps
  int parts = 1;
  const int strips = (g.maps + kStrip - 1) / kStrip;
  while (bands * parts < 4 * threads() && strips / (parts * 2) >= 4) parts *= 2;
  const int share = (strips + parts - 1) / parts * kStrip;
  parallel(bands * parts, [&](int job) {
    const int b = job / parts, m0 = (job % parts) * share;
    const int m = std::min(g.maps - m0, share);
    if (m <= 0) return;
    float* const columns = scratch(0, size_t(band) * depth * kPanel);
    const int end = std::min(panels, (b + 1) * band);
    Finish finish = {task.bias ? task.bias + m0 : NULL, task.relu, task.add};
    if (g.pointwise()) {
      const int p = b * band * kPanel;
      k.pack_panels(picture + p, task.gate ? task.gate + p : NULL, pixels,
                    depth, std::min(end * kPanel, pixels) - p, columns);
    }
    for (int q = b * band; q < end; ++q) {
      const int p = q * kPanel, n = std::min(kPanel, pixels - p);
      const int width = panel_width(n);
      float* const panel = columns + size_t(q - b * band) * depth * kPanel;
      if (!g.pointwise()) gather(g, picture, task.gate, p, n, width, panel);
      k.product(m, n, depth, w + size_t(m0) * depth, panel, width,
                out + size_t(m0) * pixels + p, pixels, finish);
    }
  });
}

}  // namespace native
}  // namespace caffe
