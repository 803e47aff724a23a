// Memory for pictures' worth of floats.
#ifndef CAFFE_NATIVE_BUFFER_HPP_
#define CAFFE_NATIVE_BUFFER_HPP_

#include <cstddef>

namespace caffe {
namespace native {

// Memory of `bytes` bytes, aligned to a cache line; big pieces are kept when
// given back and handed out again, because the kernel takes longer to map and
// clear fresh ones than most layers take to fill them. `zeroed`, when it is not
// null, says whether the memory is known to be all zeros. NULL if there is no
// memory.
void* take(size_t bytes, bool* zeroed);
void give(void* memory);

// Bytes now taken, the most that ever were since the last reset, and bytes kept
// for later use: big pieces only.
size_t taken_bytes();
size_t most_taken_bytes();
size_t kept_bytes();
void reset_most_taken();
// Gives back to the system what is kept.
void trim();

// An array of floats that owns its memory. Not cleared.
class Buffer {
 public:
  Buffer() : data_(NULL), floats_(0) {}
  ~Buffer();
  void resize(size_t floats);  // loses what was in it
  float* data() { return data_; }
  const float* data() const { return data_; }
  size_t floats() const { return floats_; }

 private:
  Buffer(const Buffer&);
  Buffer& operator=(const Buffer&);
  float* data_;
  size_t floats_;
};

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_BUFFER_HPP_
