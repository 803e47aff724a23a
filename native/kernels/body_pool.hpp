// 3x3 max pooling without branches. On real pictures half of the branches that
// compare two values were mispredicted, which took 30 % of a step.


// Reads rows up to 2 W floats beyond their end.
template <int STRIDE>
void pool_row_step(const float* const rows[3], int n, float* out,
                   unsigned char* taps) {
  const int kChunk = 64;
  for (int x = 0; x < n; x += kChunk) {
    const int m = n - x < kChunk ? n - x : kChunk;
    float won[kChunk];
    for (int i = 0; i < m; i += W) {
      const float* const r = rows[0] + STRIDE * (x + i);
      vec best = load_every<STRIDE>(r), tap = all(0);
      for (int t = 1; t < 9; ++t) {
        const float* const q = rows[t / 3] + t % 3 + STRIDE * (x + i);
        const vec v = load_every<STRIDE>(q);
        tap = more(v, best, all(static_cast<float>(t)), tap);
        best = more(v, best, v, best);
      }
      store(won + i, tap);
      store(out + x + i, best);
    }
    for (int i = 0; i < m; ++i) {
      taps[x + i] = static_cast<unsigned char>(static_cast<int>(won[i]));
    }
  }
}

void pool_row(const float* const rows[3], int stride, int n, float* out,
              unsigned char* taps) {
  if (stride == 1) {
    pool_row_step<1>(rows, n, out, taps);
  } else {
    pool_row_step<2>(rows, n, out, taps);
  }
}

void widen(const unsigned char* from, int n, float* to) {
  for (int i = 0; i < n; ++i) to[i] = from[i];
}

// Input x was tap (i, j) of output (row 2 - i, x + 2 - j), counting the border.
// The gradients are gathered, so that no sum waits for another.
void unpool_row(const float* const grads[3], const float* const taps[3], int n,
                float* out) {
  for (int x = 0; x < n; x += W) {
    vec sum = all(0);
    for (int t = 0; t < 9; ++t) {
      const int at = 2 - t % 3 + x;
      sum = sum + equal(load(taps[2 - t / 3] + at), all(static_cast<float>(t)),
                        load(grads[2 - t / 3] + at));
    }
    store(out + x, sum);
  }
}

// Input pair x is columns 2x and 2x + 1: taps 2 and 0 of outputs x - 1 and x, and
// tap 1 of output x. Outputs add in the order of their rows and columns.
void unpool_pairs(const float* const grads[2], const float* const taps[2],
                  int n, float* out) {
  for (int x = 0; x < n; x += W) {
    vec even = all(0), odd = all(0);
    for (int q = 0; q < 2; ++q) {
      if (!grads[q]) continue;
      const int t = q == 0 ? 6 : grads[0] ? 0 : 3;
      const vec before = load(taps[q] + x), at = load(taps[q] + x + 1);
      const vec g = load(grads[q] + x + 1);
      even = even + equal(before, all(t + 2.f), load(grads[q] + x));
      even = even + equal(at, all(static_cast<float>(t)), g);
      odd = odd + equal(at, all(t + 1.f), g);
    }
    store_pairs(out + 2 * x, even, odd);
  }
}
