// Memory for pictures' worth of floats.
#ifndef CAFFE_NATIVE_BUFFER_HPP_
#define CAFFE_NATIVE_BUFFER_HPP_

#include <cstddef>

namespace caffe {
namespace native {

// Allocates `bytes` bytes, aligned to a cache line. Big pieces are reused after
// give(), because the kernel takes longer to map and clear fresh ones than most
// layers take to fill them. If `zeroed` is not NULL, it is set to whether the
// memory is known to be all zeros. Returns NULL if there is no memory.
void* take(size_t bytes, bool* zeroed);
void give(void* memory);

// Bytes in use, their maximum since the last reset, and free bytes that wait
// for reuse. All three count big pieces only.
size_t taken_bytes();
size_t most_taken_bytes();
size_t kept_bytes();
void reset_most_taken();
// Returns the free bytes to the system.
void trim();

// An array of floats that owns its memory. Not cleared.
class Buffer {
 public:
  Buffer() : data_(NULL), floats_(0) {}
  ~Buffer();
  void resize(size_t floats);  // discards the contents
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
