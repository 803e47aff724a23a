// Convolution as a matrix product, in bands: a few panels of pixels are
// gathered and multiplied while they are in the L2 cache. Caffe's column buffer
// for the whole picture took half its memory and most of its cache misses.
#include <algorithm>
#include <cstring>
#include <vector>

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

// How a product is divided: bands of panels, which stay in the L2 cache, times
// parts of the strips of the left matrix.
struct Division {
  int panels, band, parts, share, jobs;
};

Division divide(int pixels, int depth, int strips) {
  Division d;
  d.panels = (pixels + kPanel - 1) / kPanel;
  // a band's columns stay within half a megabyte, and every thread has work
  const int fit = std::max(1, (1 << 17) / (depth * kPanel));
  d.band = std::max(1, std::min(std::min(fit, 8), d.panels / (4 * threads())));
  const int bands = (d.panels + d.band - 1) / d.band;
  // for a small picture, the threads also share the maps
  d.parts = 1;
  while (bands * d.parts < 4 * threads() && strips / (d.parts * 2) >= 4) {
    d.parts *= 2;
  }
  d.share = (strips + d.parts - 1) / d.parts;
  d.jobs = bands * d.parts;
  return d;
}

int strips_of(int maps) { return (maps + kStrip - 1) / kStrip; }

}  // namespace

void convolve_direct(const Geometry& g, const float* picture, const float* w,
                     const Task& task, float* out) {
  const Kernels& k = kernels();
  const int depth = g.channels * g.kernel_h * g.kernel_w;
  const int pixels = g.out_h * g.out_w;
  const Division d = divide(pixels, depth, strips_of(g.maps));
  parallel(d.jobs, [&](int job) {
    const int b = job / d.parts, m0 = (job % d.parts) * d.share * kStrip;
    const int m = std::min(g.maps - m0, d.share * kStrip);
    if (m <= 0) return;
    float* const panel = scratch(0, size_t(depth) * kPanel);
    const int end = std::min(d.panels, (b + 1) * d.band);
    const Finish finish = {task.bias ? task.bias + m0 : NULL, task.relu,
                           task.add, false};
    const Factor a = {w + size_t(m0) * depth, depth};
    for (int q = b * d.band; q < end; ++q) {
      const int p = q * kPanel, n = std::min(kPanel, pixels - p);
      const int width = panel_width(n);
      gather(g, picture, task.gate, p, n, width, panel);
      k.product(m, n, &a, 1, panel, width, out + size_t(m0) * pixels + p,
                pixels, finish);
    }
  });
}

void convolve_pointwise(int pixels, const std::vector<Source>& sources,
                        const std::vector<Target>& targets) {
  const Kernels& k = kernels();
  int depth = 0, strips = 0;
  for (const Source& s : sources) depth += s.channels;
  for (const Target& t : targets) strips += strips_of(t.maps);
  const Division d = divide(pixels, depth, strips);
  parallel(d.jobs, [&](int job) {
    const int b = job / d.parts, from = (job % d.parts) * d.share;
    const int to = std::min(strips, from + d.share);
    if (from >= to) return;
    float* const columns = scratch(0, size_t(d.band) * depth * kPanel);
    const int end = std::min(d.panels, (b + 1) * d.band);
    const int p0 = b * d.band * kPanel;
    int row = 0;
    for (const Source& s : sources) {
      k.pack_panels(s.picture + p0, s.gate ? s.gate + p0 : NULL, pixels,
                    s.channels, std::min(end * kPanel, pixels) - p0, row, depth,
                    columns);
      row += s.channels;
    }
    for (int q = b * d.band; q < end; ++q) {
      const int p = q * kPanel, n = std::min(kPanel, pixels - p);
      const float* const panel = columns + size_t(p - p0) * depth;
      int strip = 0;  // the first of this target
      for (const Target& t : targets) {
        const int first = std::max(0, from - strip) * kStrip;
        const int last = std::min(t.maps, (to - strip) * kStrip);
        strip += strips_of(t.maps);
        if (first >= last) continue;
        Factor a[kMostSiblings];
        for (size_t i = 0; i < sources.size(); ++i) {
          a[i].k = sources[i].channels;
          a[i].a = t.weights[i] + size_t(first) * a[i].k;
        }
        const Finish finish = {
            t.task.bias ? t.task.bias + first : NULL, t.task.relu, t.task.add,
            !t.task.add && streamed(size_t(t.maps) * pixels)};
        k.product(last - first, n, a, static_cast<int>(sources.size()), panel,
                  panel_width(n), t.out + size_t(first) * pixels + p, pixels,
                  finish);
      }
    }
  });
}

}  // namespace native
}  // namespace caffe
