// Runs a net with little memory and less work, if only the gradient of its
// input is wanted.
//
// Caffe stores every blob's data and diff for ever. If no weight learns, most
// of them are needed only briefly: a convolution's input until it is convolved,
// a diff until the layer below has used it. Memory that is no longer needed is
// released at once and serves the next blob. Branches are computed directly
// into their concatenation, the gradients of a blob with several readers are
// added up as they are computed, a ReLU is done by the convolution before it,
// and layers that do not affect the result are left out.
//
// Valid after forward(end) are the data of the net's inputs and of `end`'s
// tops; after backward, also the diff of the inputs. The contents of every
// other blob are undefined, and a numpy array that refers to such a blob must
// not be used after the next forward or backward.
//
// Net uses it automatically on the CPU if force_backward is set and every
// lr_mult is 0, unless the environment variable CAFFE_KEEP_BLOBS is set.
#ifndef CAFFE_NATIVE_ECONOMY_HPP_
#define CAFFE_NATIVE_ECONOMY_HPP_

#include <cstddef>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include <boost/shared_ptr.hpp>

#include "caffe/native/convolution.hpp"

namespace caffe {

template <typename Dtype> class Blob;
template <typename Dtype> class Net;

namespace native {

class Economy {
 public:
  explicit Economy(Net<float>* net);

  // Whether the net meets the conditions above.
  static bool wanted(const Net<float>& net, bool force_backward);

  void forward(int end);
  void backward(int start, int end);
  // The peak number of bytes that the blobs take in forward(end) and
  // backward(end, 0), found by a simulated run at the current shapes.
  size_t most_bytes(int end);

 private:
  enum Kind { kData, kDiff, kMaxima };  // kMaxima: of a pooling layer
  struct Piece;  // simulated memory
  typedef std::pair<const Blob<float>*, Kind> Key;

  void plan(int end);
  void run_forward(int end);
  void run_backward(int start, int end);
  bool fused_relu(int layer) const;  // done by the convolution before it
  bool ours(int layer) const;
  bool adds(int layer) const;  // can add to a diff
  // the pooling or LRN that is the only reader of this ReLU and computes its
  // gradient; -1: none
  int gater_of(int relu) const;
  bool concat_in_place(int layer) const;
  // A family: pointwise convolutions of the same blob, done with the first of
  // them (convolution.hpp). family_of_ has that layer; -1: none.
  bool may_be_sibling(int layer) const;
  Sibling sibling(int layer) const;
  void forward_family(int first, int end);
  void backward_family(const std::vector<int>& layers, int start,
                       std::vector<bool>* live);
  bool relu_after(int layer, int end) const;  // the convolution does it
  bool gated(int layer, int start) const;     // the same in backward

  // Memory operations, only simulated if dry_ is set.
  void use(Kind kind, Blob<float>* blob);
  void release(Kind kind, Blob<float>* blob);
  void share(Kind kind, Blob<float>* to, Blob<float>* from);
  void view(Kind kind, Blob<float>* part, Blob<float>* whole, int offset);
  void clear_diff(Blob<float>* blob);
  void place_tops(int layer);  // in their concatenation
  void release_tops(int layer, int start);
  void forward_layer(int layer);
  void backward_layer(int layer);

  Net<float>* const net_;
  std::set<int> inputs_;          // blobs
  // the plan for end_
  int end_;
  std::vector<bool> needed_;      // layers
  std::vector<int> last_reader_;  // layer, by blob
  std::vector<bool> kept_, backward_reads_;  // blobs
  std::vector<int> concat_of_, split_of_;  // layer, by blob; -1: none
  std::vector<int> family_of_;    // layer, by layer; -1: none
  bool ready_;  // the data that backward reads is valid

  bool dry_;
  std::map<Key, boost::shared_ptr<Piece> > pieces_;
  size_t live_, most_;
};

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_ECONOMY_HPP_
