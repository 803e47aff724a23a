#include "caffe/native/buffer.hpp"

#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <iterator>
#include <map>
#include <mutex>

namespace caffe {
namespace native {
namespace {

const size_t kLine = 64;
const size_t kBig = size_t(1) << 18;   // pieces this large lie in the arena
const size_t kGrain = size_t(1) << 12;
const size_t kHuge = size_t(1) << 21;

// One range of addresses, reserved at the start and made usable from the bottom
// up. A piece goes into the lowest hole that is large enough. So a net that
// uses the same sizes in every step touches no new page after its first step,
// and the process occupies little more memory than it uses at its peak.
class Arena {
 public:
  Arena() {
    const size_t pages = std::max(1L, sysconf(_SC_PHYS_PAGES));
    size_t size = pages * size_t(sysconf(_SC_PAGESIZE)) * 2;
    for (; size >= (size_t(1) << 30); size /= 2) {
      void* p = mmap(NULL, size, PROT_NONE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
      if (p == MAP_FAILED) continue;
      const uintptr_t at = (reinterpret_cast<uintptr_t>(p) + kHuge - 1) &
                           ~(kHuge - 1);
      base_ = reinterpret_cast<char*>(at);
      size_ = (size - kHuge) & ~(kHuge - 1);
#ifdef MADV_HUGEPAGE
      madvise(base_, size_, MADV_HUGEPAGE);
#endif
      break;
    }
  }

  // returns NULL if the arena has no room
  void* take(size_t bytes, bool* zeroed) {
    std::lock_guard<std::mutex> lock(mutex_);
    const size_t n = (bytes + kGrain - 1) & ~(kGrain - 1);
    size_t at = end_;
    for (std::map<size_t, size_t>::iterator h = holes_.begin();
         h != holes_.end(); ++h) {
      if (h->second < n) continue;
      at = h->first;
      const size_t rest = h->second - n;
      holes_.erase(h);
      if (rest) holes_[at + n] = rest;
      break;
    }
    if (at == end_) {
      if (!holes_.empty()) {  // extend a hole at the end
        std::map<size_t, size_t>::iterator last = std::prev(holes_.end());
        if (last->first + last->second == end_) {
          at = last->first;
          holes_.erase(last);
        }
      }
      if (at + n > size_ || !usable(at + n)) {
        if (at < end_) holes_[at] = end_ - at;
        return NULL;
      }
      end_ = at + n;
    }
    if (zeroed) *zeroed = at >= touched_;
    touched_ = std::max(touched_, at + n);
    pieces_[at] = n;
    taken_ += n;
    most_ = std::max(most_, taken_);
    return base_ + at;
  }

  // returns false if the memory is not in the arena
  bool give(void* memory) {
    char* const p = static_cast<char*>(memory);
    if (p < base_ || p >= base_ + size_) return false;
    std::lock_guard<std::mutex> lock(mutex_);
    std::map<size_t, size_t>::iterator piece = pieces_.find(p - base_);
    size_t at = piece->first, n = piece->second;
    pieces_.erase(piece);
    taken_ -= n;
    std::map<size_t, size_t>::iterator next = holes_.lower_bound(at);
    if (next != holes_.end() && at + n == next->first) {
      n += next->second;
      next = holes_.erase(next);
    }
    if (next != holes_.begin()) {
      std::map<size_t, size_t>::iterator before = std::prev(next);
      if (before->first + before->second == at) {
        before->second += n;
        return true;
      }
    }
    holes_[at] = n;
    return true;
  }

  size_t taken() { return taken_; }
  size_t most() { return most_; }
  size_t kept() { return end_ - taken_; }
  void reset_most() { most_ = taken_; }

  void trim() {
    std::lock_guard<std::mutex> lock(mutex_);
    for (const std::pair<const size_t, size_t>& h : holes_) {
      madvise(base_ + h.first, h.second, MADV_DONTNEED);
    }
  }

 private:
  bool usable(size_t to) {
    if (to <= usable_) return true;
    to = std::min(size_, (to + kHuge - 1) & ~(kHuge - 1));
    if (mprotect(base_ + usable_, to - usable_, PROT_READ | PROT_WRITE)) {
      return false;
    }
    usable_ = to;
    return true;
  }

  std::mutex mutex_;
  char* base_ = NULL;
  size_t size_ = 0, usable_ = 0, end_ = 0, touched_ = 0;
  size_t taken_ = 0, most_ = 0;
  std::map<size_t, size_t> holes_, pieces_;  // offset: size
};

// Never destroyed, because blobs in static objects return their memory late.
Arena& arena() {
  static Arena* const a = new Arena;
  return *a;
}

}  // namespace

void* take(size_t bytes, bool* zeroed) {
  if (bytes >= kBig) {
    if (void* p = arena().take(bytes, zeroed)) return p;
  }
  if (zeroed) *zeroed = false;
  void* p = NULL;
  return posix_memalign(&p, kLine, bytes ? bytes : 1) ? NULL : p;
}

void give(void* memory) {
  if (memory && !arena().give(memory)) std::free(memory);
}

size_t taken_bytes() { return arena().taken(); }
size_t most_taken_bytes() { return arena().most(); }
size_t kept_bytes() { return arena().kept(); }
void reset_most_taken() { arena().reset_most(); }
void trim() { arena().trim(); }

Buffer::~Buffer() { give(data_); }

void Buffer::resize(size_t floats) {
  give(data_);
  data_ = NULL;
  floats_ = 0;
  data_ = static_cast<float*>(take(floats * sizeof(float), NULL));
  if (!data_) throw std::bad_alloc();
  floats_ = floats;
}

}  // namespace native
}  // namespace caffe
