// Compares our kernels with plain loops in double. NATIVE_ISA chooses the
// instructions; run.sh runs all of them.
#include <gtest/gtest.h>

#include <algorithm>
#include <cfloat>
#include <cmath>
#include <random>
#include <vector>

#include "caffe/native/convolution.hpp"
#include "caffe/native/elementwise.hpp"
#include "caffe/native/kernels.hpp"
#include "caffe/native/lrn.hpp"
#include "caffe/native/parallel.hpp"
#include "caffe/native/pooling.hpp"

namespace {

using namespace caffe::native;
typedef std::vector<float> Floats;
typedef std::vector<double> Doubles;

Floats random_floats(size_t n, int seed) {
  std::mt19937 draw(seed);
  std::normal_distribution<float> normal;
  Floats v(n);
  for (float& x : v) x = normal(draw);
  return v;
}

// The largest difference, divided by the root mean square of the expectation.
double error(const Floats& got, const Doubles& want) {
  double most = 0, square = 0;
  for (size_t i = 0; i < want.size(); ++i) {
    if (!std::isfinite(got[i])) return INFINITY;
    most = std::max(most, std::fabs(got[i] - want[i]));
    square += want[i] * want[i];
  }
  return square ? most / std::sqrt(square / want.size()) : most;
}

Geometry geometry(int channels, int h, int w, int maps, int kernel, int pad,
                  int stride = 1, int dilation = 1, int kernel_w = 0,
                  int pad_w = -1, int stride_w = 0) {
  Geometry g;
  g.channels = channels;
  g.height = h;
  g.width = w;
  g.maps = maps;
  g.kernel_h = kernel;
  g.kernel_w = kernel_w ? kernel_w : kernel;
  g.pad_h = pad;
  g.pad_w = pad_w >= 0 ? pad_w : pad;
  g.stride_h = stride;
  g.stride_w = stride_w ? stride_w : stride;
  g.dilation_h = g.dilation_w = dilation;
  g.out_h = (h + 2 * g.pad_h - dilation * (g.kernel_h - 1) - 1) / g.stride_h + 1;
  g.out_w = (w + 2 * g.pad_w - dilation * (g.kernel_w - 1) - 1) / g.stride_w + 1;
  return g;
}

// Calls visit(output index, input index, weight index) for every product.
template <typename Visit>
void products(const Geometry& g, const Visit& visit) {
  for (int m = 0; m < g.maps; ++m)
    for (int y = 0; y < g.out_h; ++y)
      for (int x = 0; x < g.out_w; ++x)
        for (int c = 0; c < g.channels; ++c)
          for (int i = 0; i < g.kernel_h; ++i)
            for (int j = 0; j < g.kernel_w; ++j) {
              const int v = y * g.stride_h - g.pad_h + i * g.dilation_h;
              const int u = x * g.stride_w - g.pad_w + j * g.dilation_w;
              if (v < 0 || v >= g.height || u < 0 || u >= g.width) continue;
              visit((size_t(m) * g.out_h + y) * g.out_w + x,
                    (size_t(c) * g.height + v) * g.width + u,
                    ((size_t(m) * g.channels + c) * g.kernel_h + i) *
                        g.kernel_w + j);
            }
}

struct Case {
  Geometry g;
  double tolerance;
};

// Shapes, and the largest difference allowed: Winograd's is larger.
std::vector<Case> cases() {
  const double plain = 2e-5, winograd = 2e-4;
  std::vector<Case> c;
  // 1x1, with odd and tiny sizes, and numbers of maps that do not fill a strip
  c.push_back({geometry(64, 13, 17, 64, 1, 0), plain});
  c.push_back({geometry(5, 1, 1, 3, 1, 0), plain});
  c.push_back({geometry(480, 14, 14, 192, 1, 0), plain});
  c.push_back({geometry(7, 3, 50, 13, 1, 0), plain});
  c.push_back({geometry(6, 9, 9, 10, 1, 0, 2), plain});
  c.push_back({geometry(6, 9, 9, 10, 1, 1), plain});
  // Winograd F(4x4, 3x3): channels, odd sizes, edges of one pixel, no border
  c.push_back({geometry(8, 4, 4, 8, 3, 1), winograd});
  c.push_back({geometry(16, 14, 14, 24, 3, 1), winograd});
  c.push_back({geometry(33, 15, 22, 41, 3, 1), winograd});
  c.push_back({geometry(96, 28, 29, 208, 3, 1), winograd});
  c.push_back({geometry(8, 5, 211, 8, 3, 1), winograd});
  c.push_back({geometry(8, 201, 6, 8, 3, 0), winograd});
  c.push_back({geometry(12, 40, 41, 9, 3, 2), winograd});
  // F(2x2, 5x5)
  c.push_back({geometry(16, 14, 14, 32, 5, 2), winograd});
  c.push_back({geometry(9, 31, 45, 11, 5, 2), winograd});
  c.push_back({geometry(24, 8, 130, 64, 5, 0), winograd});
  // F(3x3, 4x4)
  c.push_back({geometry(8, 19, 23, 16, 4, 1), winograd});
  // too small for Winograd
  c.push_back({geometry(8, 3, 3, 8, 3, 1), plain});
  c.push_back({geometry(40, 7, 7, 24, 3, 1), plain});
  c.push_back({geometry(8, 1, 40, 8, 3, 1), plain});
  c.push_back({geometry(8, 40, 1, 8, 5, 2), plain});
  c.push_back({geometry(3, 20, 20, 5, 3, 1), plain});
  // strides, also the first layer's; dilation; non-square kernels and strides
  c.push_back({geometry(3, 64, 48, 64, 7, 3, 2), winograd});
  c.push_back({geometry(3, 57, 61, 64, 7, 3, 2), winograd});
  c.push_back({geometry(3, 5, 4, 8, 7, 3, 2), winograd});
  c.push_back({geometry(3, 39, 41, 16, 11, 0, 4), winograd});
  c.push_back({geometry(4, 17, 19, 6, 3, 1, 2), winograd});
  c.push_back({geometry(4, 17, 19, 6, 2, 0, 3), winograd});
  c.push_back({geometry(4, 17, 19, 6, 3, 2, 1, 2), plain});
  c.push_back({geometry(4, 17, 19, 6, 3, 4, 2, 2), plain});
  c.push_back({geometry(10, 17, 19, 12, 3, 1, 1, 1, 5, 2), plain});
  c.push_back({geometry(10, 17, 19, 12, 3, 1, 2, 1, 5, 2, 3), winograd});
  return c;
}

TEST(Convolution, Forward) {
  for (const Case& test : cases()) {
    const Geometry& g = test.g;
    SCOPED_TRACE(testing::Message() << g.channels << "x" << g.height << "x"
                 << g.width << " to " << g.maps << ", kernel " << g.kernel_h
                 << "x" << g.kernel_w << ", stride " << g.stride_h);
    const Floats x = random_floats(size_t(g.channels) * g.height * g.width, 1);
    const Floats w = random_floats(
        size_t(g.maps) * g.channels * g.kernel_h * g.kernel_w, 2);
    const Floats b = random_floats(g.maps, 3);
    const size_t area = size_t(g.out_h) * g.out_w;
    Doubles want(g.maps * area);
    for (size_t i = 0; i < want.size(); ++i) want[i] = b[i / area];
    products(g, [&](size_t o, size_t i, size_t k) {
      want[o] += double(x[i]) * w[k];
    });
    Convolution layer;
    Floats got(want.size(), NAN);
    Task task = {NULL, b.data(), false, false};
    ASSERT_TRUE(layer.forward(g, x.data(), w.data(), task, got.data()));
    EXPECT_LT(error(got, want), test.tolerance);
    // again, with the ReLU; changed weights must be noticed
    for (double& v : want) v = std::max(v, 0.);
    task.relu = true;
    ASSERT_TRUE(layer.forward(g, x.data(), w.data(), task, got.data()));
    EXPECT_LT(error(got, want), test.tolerance);
    Floats w2 = w;
    w2.back() += 1;
    task.relu = false;
    ASSERT_TRUE(layer.forward(g, x.data(), w2.data(), task, got.data()));
    std::fill(want.begin(), want.end(), 0.);
    for (size_t i = 0; i < want.size(); ++i) want[i] = b[i / area];
    products(g, [&](size_t o, size_t i, size_t k) {
      want[o] += double(x[i]) * w2[k];
    });
    EXPECT_LT(error(got, want), test.tolerance);
  }
}

TEST(Convolution, Backward) {
  for (const Case& test : cases()) {
    const Geometry& g = test.g;
    if (!Convolution::serves_backward(g)) continue;
    SCOPED_TRACE(testing::Message() << g.channels << "x" << g.height << "x"
                 << g.width << " to " << g.maps << ", kernel " << g.kernel_h
                 << "x" << g.kernel_w << ", stride " << g.stride_h);
    const Floats dy = random_floats(size_t(g.maps) * g.out_h * g.out_w, 4);
    const Floats gate = random_floats(dy.size(), 5);
    const Floats w = random_floats(
        size_t(g.maps) * g.channels * g.kernel_h * g.kernel_w, 2);
    const size_t n = size_t(g.channels) * g.height * g.width;
    Doubles want(n), gated(n);
    products(g, [&](size_t o, size_t i, size_t k) {
      want[i] += double(dy[o]) * w[k];
      if (gate[o] > 0) gated[i] += double(dy[o]) * w[k];
    });
    Convolution layer;
    Floats got(n, NAN);
    Task task = {NULL, NULL, false, false};
    ASSERT_TRUE(layer.backward(g, dy.data(), w.data(), task, got.data()));
    EXPECT_LT(error(got, want), test.tolerance);
    task.gate = gate.data();
    task.add = true;
    ASSERT_TRUE(layer.backward(g, dy.data(), w.data(), task, got.data()));
    for (size_t i = 0; i < n; ++i) want[i] += gated[i];
    EXPECT_LT(error(got, want), test.tolerance);
  }
}

TEST(Convolution, SameBitsWhateverTheThreads) {
  for (const Case& test : cases()) {
    const Geometry& g = test.g;
    const Floats x = random_floats(size_t(g.channels) * g.height * g.width, 1);
    const Floats w = random_floats(
        size_t(g.maps) * g.channels * g.kernel_h * g.kernel_w, 2);
    const size_t n = size_t(g.maps) * g.out_h * g.out_w;
    const Task task = {NULL, NULL, false, false};
    Floats results[3];
    const int counts[3] = {1, 2, 5}, before = threads();
    for (int i = 0; i < 3; ++i) {
      set_threads(counts[i]);
      Convolution layer;
      results[i].resize(n);
      layer.forward(g, x.data(), w.data(), task, results[i].data());
    }
    set_threads(before);
    EXPECT_EQ(results[0], results[1]);
    EXPECT_EQ(results[0], results[2]);
  }
}

#if defined(__x86_64__)
// AVX2 and AVX-512 must give the same bits.
TEST(Kernels, SameBitsInEveryWidth) {
  const Kernels *a = kernels_named("avx2"), *b = kernels_named("avx512");
  if (!a || !b) GTEST_SKIP() << "this machine does not have both";
  const int m = 19, k = 301;
  const Floats w = random_floats(24 * k, 1), bias = random_floats(24, 5);
  const int sizes[] = {1, 7, 15, 16, 17, 31, 33, 40, 47, 48};
  for (int n : sizes) {
    const int width = panel_width(n);
    const Floats x = random_floats(size_t(k) * width, 2);
    Floats p(m * 50, 0), q(m * 50, 0);
    const Finish finish = {bias.data(), true, false, false};
    const Factor whole = {w.data(), k};
    a->product(m, n, &whole, 1, x.data(), width, p.data(), 50, finish);
    b->product(m, n, &whole, 1, x.data(), width, q.data(), 50, finish);
    EXPECT_EQ(p, q);
    // the same matrix as two, side by side
    Floats left, right;
    for (int s = 0; s < 3; ++s) {
      const float* const strip = w.data() + size_t(s) * kStrip * k;
      left.insert(left.end(), strip, strip + kStrip * 100);
      right.insert(right.end(), strip + kStrip * 100, strip + kStrip * k);
    }
    const Factor halves[] = {{left.data(), 100}, {right.data(), k - 100}};
    a->product(m, n, halves, 2, x.data(), width, q.data(), 50, finish);
    EXPECT_EQ(p, q);
    b->product(m, n, halves, 2, x.data(), width, q.data(), 50, finish);
    EXPECT_EQ(p, q);
  }
  const Floats rows = random_floats(6 * 200, 3);
  const float* r[6];
  for (int i = 0; i < 6; ++i) r[i] = rows.data() + i * 200;
  for (int step = 2; step <= 4; ++step) {
    Floats p(36 * 64, 0), q(36 * 64, 0);
    a->winograd_input(r, 29, step, p.data(), 64);
    b->winograd_input(r, 29, step, q.data(), 64);
    EXPECT_EQ(p, q);
    Floats s(16 * kPanel, 0), t(16 * kPanel, 0);
    a->winograd_output(p.data(), 64, 48, step, s.data());
    b->winograd_output(p.data(), 64, 48, step, t.data());
    EXPECT_EQ(s, t);
  }
  const int channels = 11, pixels = 77;
  const Floats x = random_floats(channels * pixels, 6);
  const Floats dy = random_floats(channels * pixels, 7);
  Floats work(lrn_work(5)), p(x.size()), q(x.size());
  a->lrn_forward(x.data(), p.data(), channels, pixels, pixels, 5, .3f, 1, false, work.data());
  b->lrn_forward(x.data(), q.data(), channels, pixels, pixels, 5, .3f, 1, true, work.data());
  EXPECT_EQ(p, q);
  a->lrn_backward(x.data(), dy.data(), p.data(), channels, pixels, pixels, 5, .3f, 1, true, work.data());
  b->lrn_backward(x.data(), dy.data(), q.data(), channels, pixels, pixels, 5, .3f, 1, true, work.data());
  EXPECT_EQ(p, q);
  // the rows of a pooling's gradient, from three rows and from two
  const int n = 50;
  Floats grads = random_floats(3 * 160, 8), taps(3 * 160);
  for (size_t i = 0; i < taps.size(); ++i) taps[i] = float(i * 7 % 10) - 1;
  const float* g[3] = {grads.data(), grads.data() + 160, grads.data() + 320};
  const float* t[3] = {taps.data(), taps.data() + 160, taps.data() + 320};
  Floats u(2 * n + kBeyond), v(2 * n + kBeyond);
  a->unpool_row(g, t, n, u.data());
  b->unpool_row(g, t, n, v.data());
  EXPECT_EQ(Floats(u.begin(), u.begin() + n), Floats(v.begin(), v.begin() + n));
  for (int i = 0; i < 2; ++i) {
    a->unpool_pairs(g, t, n, u.data());
    b->unpool_pairs(g, t, n, v.data());
    EXPECT_EQ(Floats(u.begin(), u.begin() + 2 * n),
              Floats(v.begin(), v.begin() + 2 * n));
    g[0] = NULL;
  }
}
#endif

// Convolutions of the same picture, as one: the same as each alone.
TEST(Convolution, Siblings) {
  const int sizes[][2] = {{1, 1}, {7, 7}, {14, 14}, {9, 53}, {130, 121}};
  const int maps[] = {64, 3, 16, 41};
  for (const int* size : sizes) {
    const int channels = 37;
    const size_t plane = size_t(size[0]) * size[1];
    const Floats x = random_floats(channels * plane, 1);
    Convolution layers[4];
    Floats w[4], bias[4], dy[4], y[4];
    std::vector<Sibling> siblings;
    for (int i = 0; i < 4; ++i) {
      const Geometry g = geometry(channels, size[0], size[1], maps[i], 1, 0);
      w[i] = random_floats(channels * maps[i], 10 + i);
      bias[i] = random_floats(maps[i], 20 + i);
      dy[i] = random_floats(maps[i] * plane, 30 + i);
      y[i].assign(maps[i] * plane, NAN);
      const Task task = {NULL, bias[i].data(), i % 2 == 0, false};
      siblings.push_back({&layers[i], g, w[i].data(), task, dy[i].data(),
                          y[i].data()});
    }
    forward_siblings(siblings, x.data());
    Doubles want(x.size(), 0);
    for (int i = 0; i < 4; ++i) {
      Sibling& s = siblings[i];
      Floats alone(y[i].size());
      Convolution layer;
      layer.forward(s.g, x.data(), w[i].data(), s.task, alone.data());
      EXPECT_EQ(alone, y[i]);
      s.task.bias = NULL;
      s.task.relu = false;
      s.task.gate = i % 2 == 0 ? y[i].data() : NULL;
      products(s.g, [&](size_t o, size_t p, size_t q) {
        if (i % 2 == 0 && !(y[i][o] > 0)) return;
        want[p] += double(w[i][q]) * dy[i][o];
      });
    }
    Floats dx(x.size(), NAN);
    backward_siblings(siblings, false, dx.data());
    EXPECT_LT(error(dx, want), 2e-5);
    const Floats once = dx;
    backward_siblings(siblings, true, dx.data());
    for (size_t i = 0; i < dx.size(); ++i) ASSERT_EQ(once[i] + once[i], dx[i]);
  }
}

// A result that is too large for the caches has the bits that a narrow strip of
// the same picture has, wherever its rows begin.
TEST(Convolution, Streamed) {
  const int wide[] = {1024, 1037};
  for (int width : wide) {
    const int kernels[] = {1, 3, 5};
    for (int kernel : kernels) {
      Geometry g = geometry(8, 260, width, 16, kernel, kernel / 2);
      ASSERT_TRUE(streamed(size_t(g.maps) * g.out_h * g.out_w));
      const Floats x = random_floats(size_t(8) * 260 * width, 1);
      const Floats w = random_floats(16 * 8 * kernel * kernel, 2);
      const Floats bias = random_floats(16, 3);
      const Task task = {NULL, bias.data(), true, false};
      Floats y(size_t(g.maps) * 260 * width), some(size_t(g.maps) * 60 * width);
      Convolution layer;
      layer.forward(g, x.data(), w.data(), task, y.data());
      Floats top(size_t(8) * 60 * width);
      for (int c = 0; c < 8; ++c) {
        std::copy_n(x.begin() + size_t(c) * 260 * width, size_t(60) * width,
                    top.begin() + size_t(c) * 60 * width);
      }
      g.height = g.out_h = 60;
      layer.forward(g, top.data(), w.data(), task, some.data());
      for (int m = 0; m < 16; ++m)
        for (int i = 0; i < 56 * width; ++i) {
          ASSERT_EQ(y[size_t(m) * 260 * width + i],
                    some[size_t(m) * 60 * width + i]) << m << " " << i;
        }
    }
  }
}

TEST(MaxPool, ForwardAndBackward) {
  const int sizes[][2] = {{1, 1}, {1, 9}, {2, 2}, {3, 3}, {7, 5}, {28, 28},
                          {65, 130}, {130, 67}};
  for (const int* size : sizes) {
    for (int stride = 1; stride <= 2; ++stride) {
      for (int pad = 0; pad <= 2; ++pad) {
        PoolGeometry g;
        g.planes = 3;
        g.height = size[0];
        g.width = size[1];
        g.pad_h = g.pad_w = pad;
        g.stride = stride;
        // Caffe's rule: round up, but the last window must start inside
        const double a = g.height + 2 * pad - 3, b = g.width + 2 * pad - 3;
        if (a < 0 || b < 0) continue;
        g.out_h = int(std::ceil(a / stride)) + 1;
        g.out_w = int(std::ceil(b / stride)) + 1;
        if (pad && (g.out_h - 1) * stride >= g.height + pad) --g.out_h;
        if (pad && (g.out_w - 1) * stride >= g.width + pad) --g.out_w;
        SCOPED_TRACE(testing::Message() << g.height << "x" << g.width
                     << ", stride " << stride << ", pad " << pad);
        const size_t plane = size_t(g.height) * g.width;
        Floats x = random_floats(g.planes * plane, 1);
        for (float& v : x) v = std::round(v * 2);  // many equals
        const size_t n = size_t(g.planes) * g.out_h * g.out_w;
        const Floats dy = random_floats(n, 2);
        Floats y(n), dx(x.size(), 3), want_y(n);
        Doubles want_dx(x.size(), 3);
        bool empty = false;
        for (int p = 0; p < g.planes; ++p)
          for (int r = 0; r < g.out_h; ++r)
            for (int c = 0; c < g.out_w; ++c) {
              float best = -FLT_MAX;
              size_t at = 0;
              bool any = false;
              for (int i = 0; i < 3; ++i)
                for (int j = 0; j < 3; ++j) {
                  const int v = r * stride - pad + i, u = c * stride - pad + j;
                  if (v < 0 || v >= g.height || u < 0 || u >= g.width) continue;
                  const size_t q = p * plane + size_t(v) * g.width + u;
                  if (x[q] > best) { best = x[q]; at = q; any = true; }
                }
              const size_t o = (size_t(p) * g.out_h + r) * g.out_w + c;
              want_y[o] = best;
              if (any) want_dx[at] += dy[o]; else empty = true;
            }
        if (empty) continue;  // a window beyond the picture; not in Caffe
        MaxPool pool;
        pool.forward(g, x.data(), y.data());
        EXPECT_EQ(y, want_y);
        pool.backward(g, dy.data(), NULL, true, dx.data());
        EXPECT_LT(error(dx, want_dx), 3e-6);
        for (double& v : want_dx) v -= 3;
        pool.backward(g, dy.data(), NULL, false, dx.data());
        EXPECT_LT(error(dx, want_dx), 3e-6);
        // gated: as if the gradient were 0 where y is not positive
        Floats part = dy;
        for (size_t i = 0; i < n; ++i) part[i] = y[i] > 0 ? dy[i] : 0;
        Floats gated(x.size());
        pool.backward(g, part.data(), NULL, false, dx.data());
        pool.backward(g, dy.data(), y.data(), false, gated.data());
        EXPECT_EQ(gated, dx);
      }
    }
  }
}

TEST(Lrn, ForwardAndBackward) {
  const int shapes[][3] = {{1, 5, 5}, {2, 1, 5}, {3, 300, 3}, {64, 257, 5},
                           {192, 1000, 5}, {10, 33, 7}, {64, 40000, 5}};
  for (const int* shape : shapes) {
    const Lrn l = {shape[0], size_t(shape[1]), shape[2], .7f, 1.5f};
    const size_t n = l.channels * l.pixels;
    const Floats x = random_floats(n, 1), dy = random_floats(n, 2);
    Doubles y(n), dx(n), scale(n);
    const int half = l.size / 2;
    for (int c = 0; c < l.channels; ++c)
      for (size_t i = 0; i < l.pixels; ++i) {
        double s = 0;
        for (int d = std::max(0, c - half);
             d <= std::min(l.channels - 1, c + half); ++d) {
          s += double(x[d * l.pixels + i]) * x[d * l.pixels + i];
        }
        const size_t at = c * l.pixels + i;
        scale[at] = l.k + l.alpha / l.size * s;
        y[at] = x[at] * std::pow(scale[at], -.75);
      }
    for (int c = 0; c < l.channels; ++c)
      for (size_t i = 0; i < l.pixels; ++i) {
        const size_t at = c * l.pixels + i;
        double s = 0;
        for (int d = std::max(0, c - half);
             d <= std::min(l.channels - 1, c + half); ++d) {
          const size_t o = d * l.pixels + i;
          s += dy[o] * y[o] / scale[o];
        }
        dx[at] = dy[at] * std::pow(scale[at], -.75) -
                 2 * l.alpha * .75 / l.size * x[at] * s;
      }
    Floats got(n, NAN);
    lrn_forward(l, x.data(), got.data());
    EXPECT_LT(error(got, y), 1e-5);
    lrn_backward(l, x.data(), dy.data(), false, got.data());
    EXPECT_LT(error(got, dx), 2e-5);
    const Floats plain = got;
    lrn_backward(l, x.data(), dy.data(), true, got.data());
    for (size_t i = 0; i < n; ++i) ASSERT_EQ(x[i] > 0 ? plain[i] : 0, got[i]);
    got = dy;  // in place
    lrn_backward(l, x.data(), got.data(), false, got.data());
    EXPECT_LT(error(got, dx), 2e-5);
  }
}

TEST(Relu, ForwardAndBackward) {
  const size_t sizes[] = {1, 15, 100, 70001};
  for (size_t n : sizes) {
    const Floats x = random_floats(n, 1), dy = random_floats(n, 2);
    Floats y(n), dx(n), s(n);
    relu_forward(x.data(), n, y.data());
    relu_backward(x.data(), dy.data(), n, dx.data());
    sum(x.data(), dy.data(), n, s.data());
    for (size_t i = 0; i < n; ++i) {
      ASSERT_EQ(y[i], std::max(x[i], 0.f));
      ASSERT_EQ(dx[i], x[i] > 0 ? dy[i] : 0.f);
      ASSERT_EQ(s[i], x[i] + dy[i]);
    }
  }
}

}  // namespace
