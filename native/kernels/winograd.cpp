// Winograd's convolution turns tiles of 6x6 inputs into n x n outputs with 36
// products instead of n * n * kernel area. F(4x4, 3x3) and F(3x3, 4x4) need a
// quarter of the multiplications, F(2x2, 5x5) about a third.
// S. Winograd 1980; A. Lavin, S. Gray 2016 (arXiv:1509.09308).
#include <algorithm>
#include <cmath>
#include <cstring>

#include "caffe/native/convolution.hpp"
#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

const int kPoints = 36;
const int kMapsAtATime = 32;  // their products fit in the L2 cache

struct Tiles {
  int step, across, down, count;  // step: width of a tile's output
};

Tiles tiles_of(const Geometry& g) {
  Tiles t;
  t.step = 7 - g.kernel_h;
  t.across = (g.out_w + t.step - 1) / t.step;
  t.down = (g.out_h + t.step - 1) / t.step;
  t.count = t.across * t.down;
  return t;
}

// Columns of all panels that n columns fill.
int columns_of(int n) {
  return n / kPanel * kPanel + (n % kPanel ? panel_width(n % kPanel) : 0);
}

// Transforms tiles [t0, t0 + n) of channels [c0, c1): value i of channel c goes
// to v[i * stride + c * width].
void transform(const Kernels& k, const Geometry& g, const Tiles& tiles,
               const float* picture, const float* gate, int t0, int n, int c0,
               int c1, int width, float* v, size_t stride) {
  const size_t plane = size_t(g.height) * g.width;
  float border[6][4 * kPanel + 8];
  static const float zeros[4 * kPanel + 8] = {0};
  for (int c = c0; c < c1; ++c) {
    float* const row = v + size_t(c) * width;
    for (int done = 0; done < n;) {
      const int ty = (t0 + done) / tiles.across;
      const int tx = (t0 + done) % tiles.across;
      const int m = std::min(n - done, tiles.across - tx);
      const int y = ty * tiles.step - g.pad_h, x = tx * tiles.step - g.pad_w;
      const int columns = tiles.step * (m - 1) + 6;
      const bool inside = x >= 0 && x + columns <= g.width && !gate;
      const float* rows[6];
      for (int i = 0; i < 6; ++i) {
        if (y + i < 0 || y + i >= g.height) {
          rows[i] = zeros;
          continue;
        }
        const size_t at = c * plane + size_t(y + i) * g.width;
        if (inside) {
          rows[i] = picture + at + x;
          continue;
        }
        const int lo = std::max(0, -x);
        const int hi = std::max(lo, std::min(columns, g.width - x));
        float* const b = border[i];
        for (int a = 0; a < lo; ++a) b[a] = 0;
        k.pack_row(picture + at + x + lo, gate ? gate + at + x + lo : NULL,
                   hi - lo, columns - lo, b + lo);
        rows[i] = b;
      }
      k.winograd_input(rows, m, tiles.step, row + done, stride);
      done += m;
    }
    for (int i = 0; n < width && i < kPoints; ++i) {
      std::memset(row + i * stride + n, 0, (width - n) * sizeof(float));
    }
  }
}

// Multiplies maps [m0, m1) of a block of tiles, transforms back and stores.
void multiply(const Kernels& k, const Geometry& g, const Tiles& tiles,
              const float* w, const float* v, size_t stride, int t0, int n,
              int m0, int m1, int width, const Task& task, float* out) {
  // one line more than a power of two, so that the 36 do not share a cache set
  const size_t apart = size_t(kMapsAtATime) * width + 16;
  float* const products = scratch(1, kPoints * apart);
  const size_t weights =
      size_t((g.maps + kStrip - 1) / kStrip) * kStrip * g.channels;
  const Finish plain = {NULL, false, false, false};
  float rows[4 * 4 * kPanel];
  const bool stream = streamed(size_t(g.maps) * g.out_h * g.out_w);
  for (int m = m0; m < m1; m += kMapsAtATime) {
    const int maps = std::min(kMapsAtATime, m1 - m);
    for (int i = 0; i < kPoints; ++i) {
      const Factor a = {w + i * weights + size_t(m) * g.channels, g.channels};
      k.product(maps, width, &a, 1, v + i * stride, width, products + i * apart,
                width, plain);
    }
    for (int r = 0; r < maps; ++r) {
      k.winograd_output(products + size_t(r) * width, apart, width, tiles.step,
                        rows);
      const Finish finish = {task.bias ? task.bias + m + r : NULL, task.relu,
                             task.add, stream};
      float* const map = out + size_t(m + r) * g.out_h * g.out_w;
      for (int done = 0; done < n;) {
        const int ty = (t0 + done) / tiles.across;
        const int tx = (t0 + done) % tiles.across;
        const int some = std::min(n - done, tiles.across - tx);
        const int x = tx * tiles.step, y = ty * tiles.step;
        const int columns = std::min(some * tiles.step, g.out_w - x);
        for (int i = 0; i < tiles.step && y + i < g.out_h; ++i) {
          k.finish_row(rows + i * 4 * kPanel + done * tiles.step, columns,
                       finish, map + size_t(y + i) * g.out_w + x);
        }
        done += some;
      }
    }
  }
}

}  // namespace

bool winograd_serves(const Geometry& g) {
  if (g.kernel_h != g.kernel_w || g.kernel_h < 3 || g.kernel_h > 5 ||
      g.stride_h != 1 || g.stride_w != 1 || g.dilation_h != 1 ||
      g.dilation_w != 1 || g.channels < 8 || g.maps < 8 || g.out_h < 4 ||
      g.out_w < 4) {
    return false;
  }
  // In a map of 7x7, four tiles fill a quarter of a panel: a direct product
  // multiplies as often, and reads a quarter of the weights.
  return 36 * columns_of(tiles_of(g).count) <
      g.kernel_h * g.kernel_w * columns_of(g.out_h * g.out_w);
}

void convolve_winograd(const Geometry& g, const float* picture, const float* w,
                       const Task& task, float* out) {
  const Kernels& k = kernels();
  const Tiles tiles = tiles_of(g);
  const int blocks = (tiles.count + kPanel - 1) / kPanel;
  const size_t stride = size_t(g.channels) * kPanel + 16;
  if (blocks >= 3 * threads()) {
    parallel(blocks, [&](int b) {
      const int t0 = b * kPanel, n = std::min(kPanel, tiles.count - t0);
      const int width = panel_width(n);
      float* const v = scratch(0, kPoints * stride);
      transform(k, g, tiles, picture, task.gate, t0, n, 0, g.channels, width, v,
                stride);
      multiply(k, g, tiles, w, v, stride, t0, n, 0, g.maps, width, task, out);
    });
    return;
  }
  // few tiles: the threads share each block's channels, then its maps
  float* const v = scratch(2, blocks * kPoints * stride);
  const int some = 8, parts = (g.channels + some - 1) / some;
  parallel(blocks * parts, [&](int job) {
    const int t0 = job / parts * kPanel, n = std::min(kPanel, tiles.count - t0);
    const int c0 = job % parts * some;
    transform(k, g, tiles, picture, task.gate, t0, n, c0,
              std::min(g.channels, c0 + some), panel_width(n),
              v + job / parts * kPoints * stride, stride);
  });
  const int shares = (g.maps + kMapsAtATime - 1) / kMapsAtATime;
  parallel(blocks * shares, [&](int job) {
    const int t0 = job / shares * kPanel;
    const int n = std::min(kPanel, tiles.count - t0);
    const int m0 = job % shares * kMapsAtATime;
    multiply(k, g, tiles, w, v + job / shares * kPoints * stride, stride, t0, n,
             m0, std::min(g.maps, m0 + kMapsAtATime), panel_width(n), task,
             out);
  });
}

// Turns w into 36 matrices of strips, in double: each weight is rounded once.
void winograd_weights(const Geometry& g, Direction direction, const float* w,
                      float* packed) {
  const Geometry q = shape(direction, g);
  const int taps = q.kernel_h;
  const double a = std::sqrt(.5), b = std::sqrt(2.);
  const double at[5] = {0, a, -a, b, -b};
  const double by[5] = {1, -1 / 1.5, -1 / 1.5, 1 / 6., 1 / 6.};
  double points[6][5] = {{0}};
  for (int p = 0; p < 5; ++p) {
    double power = by[p];
    for (int i = 0; i < taps; ++i, power *= at[p]) points[p][i] = power;
  }
  points[5][taps - 1] = 1;
  const int strips = (q.maps + kStrip - 1) / kStrip;
  const size_t matrix = size_t(strips) * kStrip * q.channels;
  parallel(strips, [&](int s) {
    for (int r = 0; r < kStrip; ++r) {
      const int row = s * kStrip + r;
      for (int c = 0; c < q.channels; ++c) {
        float* const to =
            packed + (size_t(s) * q.channels + c) * kStrip + r;
        double half[6][5];
        for (int p = 0; p < 6; ++p) {
          for (int j = 0; j < taps; ++j) half[p][j] = 0;
        }
        for (int i = 0; i < taps && row < q.maps; ++i) {
          for (int j = 0; j < taps; ++j) {
            const double x = weight_at(direction, g, w, row, c, i, j);
            for (int p = 0; p < 6; ++p) half[p][j] += points[p][i] * x;
          }
        }
        for (int p = 0; p < 6; ++p) {
          for (int u = 0; u < 6; ++u) {
            double sum = 0;
            for (int j = 0; j < taps; ++j) sum += half[p][j] * points[u][j];
            to[(6 * p + u) * matrix] = static_cast<float>(sum);
          }
        }
      }
    }
  });
}

}  // namespace native
}  // namespace caffe
