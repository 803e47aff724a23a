// A few threads that share a loop, and sleep when there is none.
//
// Not OpenMP: its threads spin while they wait, which made a dream 12 times
// slower in a container whose CPU quota is smaller than its cores, and the way
// to stop that is an environment variable that must be set before the library
// is loaded.
#ifndef CAFFE_NATIVE_PARALLEL_HPP_
#define CAFFE_NATIVE_PARALLEL_HPP_

#include <cstddef>
#include <functional>

namespace caffe {
namespace native {

// How many threads share the work. At first: OMP_NUM_THREADS, else the cores
// that this process may run on.
int threads();
void set_threads(int n);

// body(i) for every i in [0, n), each exactly once, in any order and on any
// thread; returns when all are done. The caller works too. Not nested.
void parallel(int n, const std::function<void(int)>& body);

// A buffer of `floats` floats, aligned to a cache line, that the calling thread
// keeps from call to call (a fresh one this big is mapped and faulted in every
// time). Two calls with the same slot may return the same memory.
float* scratch(int slot, size_t floats);
const int kScratchSlots = 4;

}  // namespace native
}  // namespace caffe

#endif  // CAFFE_NATIVE_PARALLEL_HPP_
