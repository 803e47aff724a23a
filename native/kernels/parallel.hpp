// A few threads that share a loop, and sleep between loops.
//
// This replaces OpenMP, whose threads spin while they wait. That made a dream
// 12 times slower in a container whose CPU quota is below its number of cores.
// Only an environment variable set before the library loads can stop it.
#ifndef CAFFE_NATIVE_PARALLEL_HPP_
#define CAFFE_NATIVE_PARALLEL_HPP_

#include <cstddef>
#include <functional>

namespace caffe {
namespace native {

// Number of threads that share the work (default: OMP_NUM_THREADS, or else the
// number of cores that this process may use).
int threads();
void set_threads(int n);

// Calls body(i) exactly once for every i in [0, n), in any order and on any
// thread; returns when all are done. The caller works too. Do not nest calls.
void parallel(int n, const std::function<void(int)>& body);

// A buffer of `floats` floats, aligned to a cache line. The calling thread
// reuses it from call to call, because mapping a fresh one each time is slow.
// Two calls with the same slot may return the same memory.
float* scratch(int slot, size_t floats);
const int kScratchSlots = 4;

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_PARALLEL_HPP_
