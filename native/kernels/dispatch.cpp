// Chooses the kernels for the instructions of this machine.
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "caffe/native/isa.hpp"

namespace caffe {
namespace native {

const Kernels* kernels_named(const char* name) {
#if defined(__x86_64__) && defined(__GNUC__)
  // libgcc also checks that the operating system saves the wide registers
  __builtin_cpu_init();
  if (!std::strcmp(name, "avx512")) {
    return __builtin_cpu_supports("avx512f") &&
                   __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512vl") &&
                   __builtin_cpu_supports("avx512dq")
               ? kernels_avx512() : NULL;
  }
  if (!std::strcmp(name, "avx2")) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               ? kernels_avx2() : NULL;
  }
#endif
  return std::strcmp(name, "baseline") ? NULL : kernels_baseline();
}

const Kernels& kernels() {
  static const Kernels* const chosen = [] {
    const char* const wish = std::getenv("NATIVE_ISA");
    if (wish && *wish) {
      if (const Kernels* k = kernels_named(wish)) return k;
      std::fprintf(stderr,
                   "warning: NATIVE_ISA=%s is ignored: it must be baseline, or "
                   "avx2 or avx512 if the processor has that\n", wish);
    }
    if (const Kernels* k = kernels_named("avx512")) return k;
    if (const Kernels* k = kernels_named("avx2")) return k;
    return kernels_named("baseline");
  }();
  return *chosen;
}

}  // namespace native
}  // namespace caffe
