/* The most FLOP a second that the processor's fused multiply-adds reach: rates.py compiles and runs this.
 *
 *   peak THREADS    prints GFLOP/s: the best of several runs, each of so many threads
 *
 * BYTES is the width of a vector, CHAINS the number of independent sums. Each iteration of the loop adds to every sum
 * once, so that neither memory nor the latency of a multiply-add limits it. */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#if defined(__aarch64__)
#define HELD "+w"
#else
#define HELD "+v"
#endif
#define MOST 256 /* threads */

typedef float vector __attribute__((vector_size(BYTES)));

static const long iterations = 4000000;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static void* work(void* sum) {
  const vector none = {0};
  vector sums[CHAINS], factor = none + .999f, more = none + .001f;
#pragma GCC unroll 32 /* here and below: otherwise the sums lie in memory */
  for (int c = 0; c < CHAINS; ++c) sums[c] = none + c * .001f;
  __asm__ volatile("" : HELD(factor), HELD(more)); /* their values are no longer known */
  for (long n = 0; n < iterations; ++n) {
#pragma GCC unroll 32
    for (int c = 0; c < CHAINS; ++c) {
      sums[c] = sums[c] * factor + more;
      __asm__ volatile("" : HELD(sums[c]));
    }
  }
#pragma GCC unroll 32
  for (int c = 0; c < CHAINS; ++c) *(float*)sum += sums[c][0];
  return NULL;
}

int main(int count, char** words) {
  const int threads = count > 1 ? atoi(words[1]) : 1;
  pthread_t others[MOST];
  float sums[MOST] = {0};
  double best = 0;
  if (threads < 1 || threads > MOST) return 2;
  for (int run = 0; run < 20; ++run) {
    const double began = now();
    for (int t = 1; t < threads; ++t) {
      if (pthread_create(&others[t], NULL, work, &sums[t])) return 1;
    }
    work(&sums[0]);
    for (int t = 1; t < threads; ++t) pthread_join(others[t], NULL);
    const double flop = 2. * threads * iterations * CHAINS * (BYTES / sizeof(float));
    const double rate = flop / (now() - began) / 1e9;
    if (rate > best) best = rate;
  }
  printf("%.1f\n", best);
  return 0;
}
