#include "caffe/native/parallel.hpp"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "caffe/native/buffer.hpp"

namespace caffe {
namespace native {
namespace {

// A waiting thread looks for work this many times before it sleeps, which takes
// about 20 us; then this many times more, but lets other threads go first, which
// takes 100 us on an idle machine. To sleep and be woken takes as long: without
// the second wait a step of 112x112 took an eighth longer.
const int kLooks = 400, kPoliteLooks = 100;

inline void relax() {
#if defined(__x86_64__) || defined(__i386__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

// Waits a little for something that another thread does.
template <typename Done>
void look(const Done& done) {
  for (int i = 0; i < kLooks; ++i) {
    if (done()) return;
    relax();
  }
  for (int i = 0; i < kPoliteLooks; ++i) {
    if (done()) return;
    sched_yield();
    for (int j = 0; j < 20; ++j) relax();
  }
}

int default_threads() {
  if (const char* text = std::getenv("OMP_NUM_THREADS")) {
    const int n = std::atoi(text);
    if (n > 0) return n;
  }
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof(set), &set) == 0 && CPU_COUNT(&set) > 0) {
    return CPU_COUNT(&set);
  }
  return std::max(1u, std::thread::hardware_concurrency());
}

class Pool {
 public:
  Pool() : wanted_(default_threads()) {}

  int size() const { return wanted_; }

  void resize(int n) {
    std::lock_guard<std::mutex> one(run_);
    stop();
    wanted_ = std::max(1, n);
  }

  void run(int n, const std::function<void(int)>& body) {
    std::lock_guard<std::mutex> one(run_);
    if (wanted_ == 1 || n <= 1) {
      for (int i = 0; i < n; ++i) body(i);
      return;
    }
    start();
    body_ = &body;
    count_ = n;
    next_.store(0, std::memory_order_relaxed);
    working_.store(static_cast<int>(workers_.size()),
                   std::memory_order_relaxed);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      round_.fetch_add(1, std::memory_order_release);
    }
    wake_.notify_all();
    share();
    look([this] { return working_.load(std::memory_order_acquire) == 0; });
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [this] { return working_.load() == 0; });
  }

 private:
  // Takes the next index until none is left.
  void share() {
    for (int i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < count_;) {
      (*body_)(i);
    }
  }

  void start() {
    while (static_cast<int>(workers_.size()) < wanted_ - 1) {
      const unsigned seen = round_.load();
      workers_.emplace_back([this, seen] { work(seen); });
    }
  }

  void stop() {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      stopping_ = true;
      round_.fetch_add(1);
    }
    wake_.notify_all();
    for (std::thread& t : workers_) t.join();
    workers_.clear();
    stopping_ = false;
  }

  void work(unsigned seen) {
    for (;;) {
      look([&] { return round_.load(std::memory_order_acquire) != seen; });
      {
        std::unique_lock<std::mutex> lock(mutex_);
        wake_.wait(lock, [&] { return round_.load() != seen; });
        seen = round_.load();
        if (stopping_) return;
      }
      share();
      if (working_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        std::lock_guard<std::mutex> lock(mutex_);
        done_.notify_one();
      }
    }
  }

  std::mutex run_;  // one loop at a time
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  std::vector<std::thread> workers_;
  std::atomic<unsigned> round_{0};
  std::atomic<int> next_{0}, working_{0};
  int count_ = 0;
  const std::function<void(int)>* body_ = nullptr;
  int wanted_;
  bool stopping_ = false;
};

// Never destroyed: the threads sleep until the process ends, and joining them
// from a static destructor can hang when a library is unloaded.
Pool& pool() {
  static Pool* const p = new Pool;
  return *p;
}

}  // namespace

int threads() { return pool().size(); }
void set_threads(int n) { pool().resize(n); }

void parallel(int n, const std::function<void(int)>& body) {
  pool().run(n, body);
}

float* scratch(int slot, size_t floats) {
  static thread_local Buffer buffers[kScratchSlots];
  Buffer& b = buffers[slot];
  if (b.floats() < floats) b.resize(floats + floats / 8);
  return b.data();
}

}  // namespace native
}  // namespace caffe
