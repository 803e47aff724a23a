// Two-dimensional convolution of float pictures, and the gradient of its
// input: what a convolution layer keeps and does.
#ifndef CAFFE_NATIVE_CONVOLUTION_HPP_
#define CAFFE_NATIVE_CONVOLUTION_HPP_

#include <cstdint>
#include <map>
#include <utility>

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

// Four convolutions that one layer's weights make, each of stride 1 but the
// first (see geometry.cpp).
enum Direction {
  kForward,  // the layer's own
  kSplit,    // the same on the phases of a strided layer's picture
  kTurned,   // gradient of the picture: kernels turned round
  kPhased    // gradient of a strided layer's picture, by phases
};

// Weights in the order that the product reads: packed once, not every call; on
// small pictures packing took as long as multiplying. A sum over all the bits
// tells whether they changed.
class Weights {
 public:
  enum Kind { kDirect, kWinograd };
  // Strips of 8 rows, maps x (channels, i, j) of shape(direction, g); for
  // Winograd 36 such matrices, maps x channels.
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
};

// One step of work on a picture.
template <typename T>
struct TaskOf {
  const T* gate;  // counts the input only where this is > 0, or NULL
  const T* bias;
  bool relu;  // negative results become 0
  bool add;   // adds to the result
};
typedef TaskOf<float> Task;

class Convolution {
 public:
  // out = convolution of the picture. The sums' order depends on the shape
  // alone. False if the shape is not served: then nothing was done.
  bool forward(const Geometry& g, const float* picture, const float* weights,
               const Task& task, float* out);
  // gradient of the picture, from that of the result
  bool backward(const Geometry& g, const float* gradient, const float* weights,
                const Task& task, float* picture_gradient);
  static bool serves_backward(const Geometry& g);
  // What they take for the time of the call, beside a little for each thread.
  static size_t forward_floats(const Geometry& g);
  static size_t backward_floats(const Geometry& g);
  // Double precision is left to Caffe.
  bool forward(const Geometry&, const double*, const double*,
               const TaskOf<double>&, double*) { return false; }
  bool backward(const Geometry&, const double*, const double*,
                const TaskOf<double>&, double*) { return false; }

 private:
  Weights weights_;
};

// For Net: what a layer fuses with its neighbours in a given pass.
struct Fusion {
  Fusion() : relu(false), gate(false), add(false) {}
  bool relu;  // forward: the ReLU that follows in place
  // backward: only where the result is positive, as that ReLU does; or, for a
  // pooling, the ReLU before it: the largest of a window passes it or none does
  bool gate;
  bool add;   // backward: adds to the gradient that is there
};

// Steps that the files of this folder share.
void convolve_direct(const Geometry& g, const float* picture, const float* w,
                     const Task& task, float* out);
bool winograd_serves(const Geometry& g);
void convolve_winograd(const Geometry& g, const float* picture, const float* w,
                       const Task& task, float* out);
void winograd_weights(const Geometry& g, Direction direction, const float* w,
                      float* packed);

// The convolution that `direction` names.
Geometry shape(Direction direction, const Geometry& g);
// Its weight at (map, channel, i, j).
float weight_at(Direction direction, const Geometry& g, const float* w, int map,
                int channel, int i, int j);

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_CONVOLUTION_HPP_
