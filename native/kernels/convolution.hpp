// Two-dimensional convolution of float pictures, and the gradient of its input,
// for a convolution layer.
#ifndef CAFFE_NATIVE_CONVOLUTION_HPP_
#define CAFFE_NATIVE_CONVOLUTION_HPP_

#include <cstdint>
#include <map>
#include <utility>
#include <vector>

#include "caffe/native/buffer.hpp"

namespace caffe {
namespace native {

// Shapes: picture (channels, height, width), weights (maps, channels,
// kernel_h, kernel_w), result (maps, out_h, out_w).
struct Geometry {
  int channels, height, width;
  int maps;
  int kernel_h, kernel_w, pad_h, pad_w, stride_h, stride_w;
  int dilation_h, dilation_w;
  int out_h, out_w;

  bool pointwise() const {  // 1x1 on every pixel: a plain matrix product
    return kernel_h == 1 && kernel_w == 1 && stride_h == 1 && stride_w == 1 &&
           pad_h == 0 && pad_w == 0 && out_h == height && out_w == width;
  }
};

// The four convolutions that use one layer's weights. All except the first have
// stride 1 (see geometry.cpp).
enum Direction {
  kForward,  // the layer itself
  kSplit,    // the same, on the phases of a strided layer's picture
  kTurned,   // gradient of the picture: kernels rotated by 180 degrees
  kPhased    // gradient of a strided layer's picture, by phases
};

// Weights in the order that the product reads. They are packed once, not in
// every call: on small pictures packing took as long as multiplying. A checksum
// shows whether they changed.
class Weights {
 public:
  enum Kind { kDirect, kWinograd };
  Weights() : sum_(0), sum_is_known_(false) {}
  // kDirect: one matrix, maps x (channels, i, j) of shape(direction, g), in
  // strips of 8 rows. kWinograd: 36 such matrices, maps x channels. A gradient
  // uses the weights of the forward pass before it; so only that looks whether
  // they changed (which took a twentieth of a step on a small picture).
  const float* get(Kind kind, Direction direction, const Geometry& g,
                   const float* w);

 private:
  struct Packed {
    Packed() : sum(0), known(false) {}
    Buffer data;
    uint64_t sum;
    bool known;
  };
  std::map<std::pair<int, int>, Packed> packed_;
  uint64_t sum_;       // of the last forward pass
  bool sum_is_known_;
};

// Operations fused into a convolution.
template <typename T>
struct TaskOf {
  const T* gate;  // the input counts only where this is > 0; or NULL
  const T* bias;
  bool relu;  // negative results become 0
  bool add;   // adds to out instead of overwriting it
};
typedef TaskOf<float> Task;

class Convolution;

// One of the pointwise convolutions that read the same picture: an inception has
// three or four. Together they read it once, and write its gradient once.
struct Sibling {
  Convolution* convolution;
  Geometry g;
  const float* weights;
  Task task;
  const float* gradient;  // backward: of its result
  float* out;             // forward: its result
};
const int kMostSiblings = 8;
// out of each sibling = its convolution of the picture
void forward_siblings(const std::vector<Sibling>& siblings,
                      const float* picture);
// picture_gradient = the sum of the gradients that the siblings give it, in
// their order; if add, it is added
void backward_siblings(const std::vector<Sibling>& siblings, bool add,
                       float* picture_gradient);

class Convolution {
 public:
  // out = convolution of the picture. The order of the sums depends only on the
  // shape. Returns false, and does nothing, if the shape is not supported.
  bool forward(const Geometry& g, const float* picture, const float* weights,
               const Task& task, float* out);
  // gradient of the picture, from the gradient of the result
  bool backward(const Geometry& g, const float* gradient, const float* weights,
                const Task& task, float* picture_gradient);
  static bool serves_backward(const Geometry& g);
  // packed weights of a direct product
  const float* packed(Direction direction, const Geometry& g, const float* w) {
    return weights_.get(Weights::kDirect, direction, g, w);
  }
  // Floats of memory used during a call, besides a little for each thread.
  static size_t forward_floats(const Geometry& g);
  static size_t backward_floats(const Geometry& g);
  // Caffe's own code does double precision.
  bool forward(const Geometry&, const double*, const double*,
               const TaskOf<double>&, double*) { return false; }
  bool backward(const Geometry&, const double*, const double*,
                const TaskOf<double>&, double*) { return false; }

 private:
  Weights weights_;
};

// Set by Economy: work of its neighbours that a layer does in this pass.
struct Fusion {
  Fusion() : relu(false), gate(false), add(false) {}
  bool relu;  // forward: does the in-place ReLU that follows
  // backward: gradients count only where the result is positive, as in that
  // ReLU. A pooling does the ReLU before it: if the maximum of a window does
  // not pass that ReLU, no other value does. An LRN does it too: it has read the
  // value anyway.
  bool gate;
  bool add;   // backward: adds to the existing gradient
};

// Functions shared by the files in this folder.
void convolve_direct(const Geometry& g, const float* picture, const float* w,
                     const Task& task, float* out);
// A matrix product for each target: the pixels of all sources, one after the
// other, are its channels. Targets have weights for each source, in strips.
struct Source {
  const float* picture;
  const float* gate;  // or NULL
  int channels;
};
struct Target {
  std::vector<const float*> weights;
  int maps;
  Task task;
  float* out;
};
void convolve_pointwise(int pixels, const std::vector<Source>& sources,
                        const std::vector<Target>& targets);
bool winograd_serves(const Geometry& g);
void convolve_winograd(const Geometry& g, const float* picture, const float* w,
                       const Task& task, float* out);
void winograd_weights(const Geometry& g, Direction direction, const float* w,
                      float* packed);

// The shape of the convolution for `direction`.
Geometry shape(Direction direction, const Geometry& g);
// Its weight at (map, channel, i, j).
float weight_at(Direction direction, const Geometry& g, const float* w, int map,
                int channel, int i, int j);

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_CONVOLUTION_HPP_
