#include "caffe/native/convolution.hpp"

#include <algorithm>

#include "caffe/native/kernels.hpp"
#include "caffe/native/parallel.hpp"

namespace caffe {
namespace native {
namespace {

void convolve(const Geometry& g, const float* picture, const float* w,
              const Task& task, float* out) {
  if (!g.pointwise()) {
    convolve_direct(g, picture, w, task, out);
    return;
  }
  convolve_pointwise(g.out_h * g.out_w, {{picture, task.gate, g.channels}},
                     {{{w}, g.maps, task, out}});
}

bool strided(const Geometry& g) { return g.stride_h != 1 || g.stride_w != 1; }

// Calls line(row of the picture, row of its phase, first column, columns) for
// every row of every phase of every channel. A phase is (phase_h, phase_w).
template <typename Line>
void each_phase(const Geometry& g, int phase_h, int phase_w, const Line& line) {
  const int sh = g.stride_h, sw = g.stride_w;
  parallel(g.channels * sh, [&](int job) {
    const int c = job / sh, first = job % sh;
    for (int y = first; y < g.height; y += sh) {
      for (int r = 0; r < sw; ++r) {
        line((size_t(c) * g.height + y) * g.width,
             ((size_t(job) * sw + r) * phase_h + y / sh) * phase_w, r,
             (g.width - r + sw - 1) / sw);
      }
    }
  });
}

void to_phases(const Geometry& g, const Geometry& q, const float* picture,
               float* phases) {
  // phases may have pixels beyond the picture's edge: these are zero
  std::fill(phases, phases + size_t(q.channels) * q.height * q.width, 0.f);
  const int sw = g.stride_w;
  each_phase(g, q.height, q.width, [&](size_t at, size_t to, int r, int n) {
    if (sw == 2) {
      for (int i = 0; i < n; ++i) phases[to + i] = picture[at + r + 2 * i];
    } else {
      for (int i = 0; i < n; ++i) phases[to + i] = picture[at + r + sw * i];
    }
  });
}

void from_phases(const Geometry& g, const Geometry& q, const float* phases,
                 bool add, float* picture) {
  const int sw = g.stride_w;
  each_phase(g, q.out_h, q.out_w, [&](size_t at, size_t from, int r, int n) {
    if (add) {
      for (int i = 0; i < n; ++i) picture[at + r + sw * i] += phases[from + i];
    } else {
      for (int i = 0; i < n; ++i) picture[at + r + sw * i] = phases[from + i];
    }
  });
}

}  // namespace

bool Convolution::serves_backward(const Geometry& g) {
  if (strided(g)) return g.dilation_h == 1 && g.dilation_w == 1;
  return g.pad_h <= g.dilation_h * (g.kernel_h - 1) &&
         g.pad_w <= g.dilation_w * (g.kernel_w - 1);
}

size_t Convolution::forward_floats(const Geometry& g) {
  if (!strided(g) || g.dilation_h != 1 || g.dilation_w != 1) return 0;
  const Geometry q = shape(kSplit, g);
  return winograd_serves(q) ? size_t(q.channels) * q.height * q.width : 0;
}

size_t Convolution::backward_floats(const Geometry& g) {
  if (!strided(g)) return 0;
  const Geometry q = shape(kPhased, g);
  return size_t(q.maps) * q.out_h * q.out_w;
}

bool Convolution::forward(const Geometry& g, const float* picture,
                          const float* weights, const Task& task, float* out) {
  if (const size_t floats = forward_floats(g)) {
    const Geometry q = shape(kSplit, g);
    Buffer phases;
    phases.resize(floats);
    to_phases(g, q, picture, phases.data());
    convolve_winograd(q, phases.data(),
                      weights_.get(Weights::kWinograd, kSplit, g, weights),
                      task, out);
  } else if (winograd_serves(g)) {
    convolve_winograd(g, picture,
                      weights_.get(Weights::kWinograd, kForward, g, weights),
                      task, out);
  } else {
    convolve(g, picture, packed(kForward, g, weights), task, out);
  }
  return true;
}

bool Convolution::backward(const Geometry& g, const float* gradient,
                           const float* weights, const Task& task,
                           float* picture_gradient) {
  if (!serves_backward(g)) return false;
  const Direction direction = strided(g) ? kPhased : kTurned;
  const Geometry q = shape(direction, g);
  Task t = task;
  float* out = picture_gradient;
  Buffer phases;
  if (const size_t floats = backward_floats(g)) {
    phases.resize(floats);
    out = phases.data();
    t.add = false;
  }
  if (winograd_serves(q)) {
    convolve_winograd(q, gradient,
                      weights_.get(Weights::kWinograd, direction, g, weights),
                      t, out);
  } else {
    convolve(q, gradient, packed(direction, g, weights), t, out);
  }
  if (strided(g)) from_phases(g, q, out, task.add, picture_gradient);
  return true;
}

void forward_siblings(const std::vector<Sibling>& siblings,
                      const float* picture) {
  const Geometry& g = siblings[0].g;
  std::vector<Target> targets;
  for (const Sibling& s : siblings) {
    const float* const w = s.convolution->packed(kForward, s.g, s.weights);
    targets.push_back({{w}, s.g.maps, s.task, s.out});
  }
  convolve_pointwise(g.out_h * g.out_w, {{picture, NULL, g.channels}}, targets);
}

void backward_siblings(const std::vector<Sibling>& siblings, bool add,
                       float* picture_gradient) {
  const Geometry& g = siblings[0].g;
  std::vector<Source> sources;
  Target target = {{}, g.channels, {NULL, NULL, false, add}, picture_gradient};
  for (const Sibling& s : siblings) {
    sources.push_back({s.gradient, s.task.gate, s.g.maps});
    target.weights.push_back(s.convolution->packed(kTurned, s.g, s.weights));
  }
  convolve_pointwise(g.out_h * g.out_w, sources, {target});
}

}  // namespace native
}  // namespace caffe
