// The inner loops, compiled once for each set of instructions (isa_*.cpp) and
// chosen when the program runs.
#ifndef CAFFE_NATIVE_KERNELS_HPP_
#define CAFFE_NATIVE_KERNELS_HPP_

#include <cstddef>

namespace caffe {
namespace native {

// A matrix product works on panels of at most kPanel columns (their widths are
// 48, 32 and 16), and on strips of kStrip rows of the left matrix.
const int kPanel = 48;
const int kStrip = 8;
const int kHashLanes = 64;

// The width of the panel that holds n columns.
inline int panel_width(int n) { return n > 32 ? 48 : n > 16 ? 32 : 16; }

// What happens to a sum before it is stored.
struct Finish {
  const float* bias;  // one per row, or NULL
  bool relu;          // negative results become 0
  bool add;           // adds to the stored value (then neither bias nor relu)
  bool stream;        // the result is too large to stay in the caches
};
// Whether a result of so many floats is streamed to memory. Writing it into the
// caches reads every line first: that took half of the time of a large pooling's
// gradient, and a third of the first convolution. A smaller result is better kept
// in the caches for the next layer (8 MB was best of 2 to 32).
inline bool streamed(size_t floats) { return floats >= size_t(2) << 20; }

// A left matrix of a product: strips of 8 rows, each k x 8.
struct Factor {
  const float* a;
  int k;
};

struct Kernels {
  const char* name;

  // c[m x n] = a * b. a: `factors` matrices, side by side (their rows beyond m
  // are padded); b: the sum of their k x width, width = panel_width(n); c: rows
  // ldc apart.
  void (*product)(int m, int n, const Factor* a, int factors, const float* b,
                  int width, float* c, size_t ldc, const Finish& finish);

  // Copies n floats and fills up to width with zeros. If there is a gate,
  // floats where it is not > 0 become zero.
  void (*pack_row)(const float* from, const float* gate, int n, int width,
                   float* to);

  // The same for n pixels of every channel, `plane` apart, into the rows from
  // `row` of panels that have `depth` rows. The panels lie one after the other;
  // each channel goes into all of them before the next channel, so that the
  // picture is read in long runs.
  void (*pack_panels)(const float* from, const float* gate, size_t plane,
                      int channels, int n, int row, int depth, float* to);

  // Mixes the bits of n floats, except the last n % kHashLanes, into the lanes.
  // Each step is invertible, so one changed bit changes the lanes.
  void (*hash)(const float* from, size_t n, unsigned* lanes);

  // Winograd, see winograd.cpp. rows: the six input rows of a row of tiles,
  // starting at the first tile; step: width of a tile's output. The transformed
  // value i of tile t goes to v[i * stride + t].
  void (*winograd_input)(const float* const rows[6], int tiles, int step,
                         float* v, size_t stride);
  // Turns the 36 products y[i * stride + t] of `width` tiles into step rows of
  // outputs; row j starts at rows[j * 4 * kPanel].
  void (*winograd_output)(const float* y, size_t stride, int width, int step,
                          float* rows);
  // Does what finish says to one row of sums, with finish.bias for that row.
  void (*finish_row)(const float* from, int n, const Finish& finish, float* to);

  // Max pooling, 3x3, stride 1 or 2, one row of outputs. rows: three rows of
  // input with a border; taps: index 0 to 8 of each maximum (first of equals).
  // Rows here and below are read, and `out` is written, up to kBeyond floats
  // beyond their end.
  void (*pool_row)(const float* const rows[3], int stride, int n, float* out,
                   unsigned char* taps);
  // The gradient of a row of inputs at stride 1, from the three rows of outputs
  // that read it, the topmost first. The border is -1 in taps and 0 in grads.
  void (*unpool_row)(const float* const grads[3], const float* const taps[3],
                     int n, float* out);
  // The same at stride 2, for n pairs of columns: from the row of outputs whose
  // windows have this row as their third, or NULL, and from the row whose windows
  // have it as their first, or, if the first is NULL, as their second. Both begin
  // with a border column.
  void (*unpool_pairs)(const float* const grads[2], const float* const taps[2],
                       int n, float* out);
  void (*widen)(const unsigned char* from, int n, float* to);

  // Local response normalisation across `channels`, n pixels at a time,
  // channels `stride` apart; beta = 3/4. work: lrn_work(size) floats.
  void (*lrn_forward)(const float* x, float* y, int channels, size_t stride,
                      int n, int size, float alpha, float k, bool stream,
                      float* work);
  void (*lrn_backward)(const float* x, const float* dy, float* dx,
                       int channels, size_t stride, int n, int size,
                       float alpha, float k, bool gate, float* work);

  void (*relu_forward)(const float* x, size_t n, float* y);
  // dx = dy where x > 0, else 0
  void (*relu_backward)(const float* x, const float* dy, size_t n, float* dx);
  void (*add)(const float* a, const float* b, size_t n, float* sum);
};

const int kBeyond = 64;

const int kLrnBlock = 256;  // pixels of lrn_* at a time
inline size_t lrn_work(int size) { return size_t(4) * size * kLrnBlock; }

// The kernels for the best instructions of this machine, or for those that the
// environment variable NATIVE_ISA (baseline, avx2, avx512) names.
const Kernels& kernels();

// The kernels of that name; NULL if this machine or this build lacks them.
const Kernels* kernels_named(const char* name);

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_KERNELS_HPP_
