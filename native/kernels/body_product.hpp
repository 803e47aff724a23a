// Matrix product of packed operands. A tile of the result stays in registers
// for the whole length of the sum. So every sum has the same order, whatever
// the tiles, the threads and the vector's width.

// The left matrix, the weights, comes from a far cache for every panel. So it is
// fetched this many floats before it is needed: a step of 224x224 takes 8 % less
// time, one of 1024x576 2 to 4 %, one of 1920x1080 the same.
const int kAhead = 512;

// `first` is the first of the rows of the left matrix.
template <int ROWS, int VECS>
inline void tile(const Factor* f, int factors, size_t first, const float* b,
                 int width, float* c, size_t ldc, const Finish& finish) {
  vec sum[ROWS][VECS];
  for (int i = 0; i < ROWS; ++i) {
    for (int j = 0; j < VECS; ++j) sum[i][j] = all(0);
  }
  for (int q = 0; q < factors; ++q) {
    const int k = f[q].k;
    const float* a = f[q].a + first / kStrip * k * kStrip + first % kStrip;
    for (int p = 0; p < k; ++p, a += kStrip, b += width) {
      vec x[VECS];
      for (int j = 0; j < VECS; ++j) x[j] = load(b + j * W);
      __builtin_prefetch(a + kAhead);
      for (int i = 0; i < ROWS; ++i) {
        const vec w = all(a[i]);
        for (int j = 0; j < VECS; ++j) sum[i][j] = fma(w, x[j], sum[i][j]);
      }
    }
  }
  const bool streams = finish.stream && aligned(c) && ldc % W == 0;
  for (int i = 0; i < ROWS; ++i) {
    const vec bias = all(finish.bias ? finish.bias[i] : 0);
    for (int j = 0; j < VECS; ++j) {
      float* const to = c + i * ldc + j * W;
      vec v = sum[i][j];
      if (finish.bias) v = v + bias;
      if (finish.relu) v = positive(v);
      if (finish.add) v = load(to) + v;
      if (streams) {
        stream(to, v);
      } else {
        store(to, v);
      }
    }
  }
}

// ROWS rows of a strip times a whole panel
template <int ROWS>
inline void strip_rows(const Factor* f, int factors, size_t first,
                       const float* b, int width, float* c, size_t ldc,
                       const Finish& finish) {
  int j = 0;
  for (; j + kVecs * W <= width; j += kVecs * W) {
    tile<ROWS, kVecs>(f, factors, first, b + j, width, c + j, ldc, finish);
  }
  const int left = (width - j) / W;  // < kVecs
  if (kVecs > 3 && left == 3) {
    tile<ROWS, (kVecs > 3 ? 3 : 1)>(f, factors, first, b + j, width, c + j, ldc, finish);
  } else if (kVecs > 2 && left == 2) {
    tile<ROWS, (kVecs > 2 ? 2 : 1)>(f, factors, first, b + j, width, c + j, ldc, finish);
  } else if (left == 1) {
    tile<ROWS, 1>(f, factors, first, b + j, width, c + j, ldc, finish);
  }
}

inline void strip(int rows, const Factor* f, int factors, size_t first,
                  const float* b, int width, float* c, size_t ldc,
                  const Finish& finish) {
  if (kRows == kStrip && rows > 4) {
    strip_rows<kRows>(f, factors, first, b, width, c, ldc, finish);
    return;
  }
  strip_rows<4>(f, factors, first, b, width, c, ldc, finish);
  if (rows <= 4) return;
  Finish below = finish;
  if (below.bias) below.bias += 4;
  strip_rows<4>(f, factors, first + 4, b, width, c + 4 * ldc, ldc, below);
}

template <bool STREAM>
inline void finish_some(const float* from, int n, const Finish& finish,
                        float* to) {
  const float bias = finish.bias ? *finish.bias : 0;
  const vec b = all(bias);
  int i = 0;
  if (finish.add) {
    for (; i + W <= n; i += W) store(to + i, load(to + i) + load(from + i));
    for (; i < n; ++i) to[i] += from[i];
    return;
  }
  for (; i + W <= n; i += W) {
    vec v = load(from + i) + b;
    if (finish.relu) v = positive(v);
    if (STREAM) {
      stream(to + i, v);
    } else {
      store(to + i, v);
    }
  }
  for (; i < n; ++i) {
    const float v = from[i] + bias;
    to[i] = !finish.relu || v > 0 ? v : 0;
  }
}

void finish_row(const float* from, int n, const Finish& finish, float* to) {
  if (!finish.stream || finish.add) {
    finish_some<false>(from, n, finish, to);
    return;
  }
  int first = 0;  // up to an aligned address
  while (first < n && !aligned(to + first)) ++first;
  finish_some<false>(from, first, finish, to);
  finish_some<true>(from + first, n - first, finish, to + first);
}

void product(int m, int n, const Factor* a, int factors, const float* b,
             int width, float* c, size_t ldc, const Finish& finish) {
  Finish f = finish;
  for (int i = 0; i < m; i += kStrip) {
    const int rows = m - i < kStrip ? m - i : kStrip;
    float* const to = c + i * ldc;
    if (finish.bias) f.bias = finish.bias + i;
    if (n == width && rows % 4 == 0) {
      strip(rows, a, factors, i, b, width, to, ldc, f);
      continue;
    }
    // at the edge, multiply into a temporary tile
    const Finish plain = {nullptr, false, false, false};
    float t[kStrip * kPanel];
    strip(rows, a, factors, i, b, width, t, width, plain);
    for (int r = 0; r < rows; ++r, f.bias += finish.bias ? 1 : 0) {
      finish_row(t + r * width, n, f, to + r * ldc);
    }
  }
}

void pack_row(const float* from, const float* gate, int n, int width,
              float* to) {
  int i = 0;
  if (gate) {
    for (; i + W <= n; i += W) store(to + i, gated(load(gate + i), load(from + i)));
    for (; i < n; ++i) to[i] = gate[i] > 0 ? from[i] : 0;
  } else {
    for (; i + W <= n; i += W) store(to + i, load(from + i));
    for (; i < n; ++i) to[i] = from[i];
  }
  for (; i < width; ++i) to[i] = 0;
}

void pack_panels(const float* from, const float* gate, size_t plane,
                 int channels, int n, int row, int depth, float* to) {
  for (int c = 0; c < channels; ++c, from += plane) {
    // the next plane is on another page, which the hardware does not prefetch:
    // this saves 3 % of the first 1x1 layer, 15 % of a thin one
    for (int i = 0; i < n && c + 4 < channels; i += 16) {
      __builtin_prefetch(from + 4 * plane + i);
    }
    for (int done = 0; done < n; done += kPanel) {
      const int m = n - done < kPanel ? n - done : kPanel;
      const int width = panel_width(m);
      pack_row(from + done, gate ? gate + c * plane + done : nullptr, m, width,
               to + size_t(done) * depth + size_t(row + c) * width);
    }
  }
}

void hash(const float* from, size_t n, unsigned lanes[kHashLanes]) {
  for (size_t at = 0; at + kHashLanes <= n; at += kHashLanes) {
    unsigned bits[kHashLanes];
    __builtin_memcpy(bits, from + at, sizeof(bits));
    for (int i = 0; i < kHashLanes; ++i) {
      lanes[i] = (lanes[i] ^ bits[i]) * 0x9e3779b1u;
      lanes[i] ^= lanes[i] >> 15;
    }
  }
}
