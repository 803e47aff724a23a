// Winograd's transforms at the points 0, +-a, +-b, infinity with a = sqrt(1/2)
// and b = sqrt(2). a*b = 1 keeps the constants near 1, and the error is a third
// of the error at the usual points 0, +-1, +-2.
const float kA = 0.70710678118654752f, kB = 1.41421356237309505f;

// turns six input values into the factors of six products
inline void to_points(const vec z[6], vec t[6]) {
  const vec a2 = all(.5f), b2 = all(2), s = all(2.5f), a = all(kA), b = all(kB);
  t[0] = fma(-s, z[2], z[0]) + z[4];
  const vec e = fma(-b2, z[2], z[4]), o = a * fma(-b2, z[1], z[3]);
  t[1] = e + o;
  t[2] = e - o;
  const vec g = fma(-a2, z[2], z[4]), p = b * fma(-a2, z[1], z[3]);
  t[3] = g + p;
  t[4] = g - p;
  t[5] = fma(-s, z[3], z[1]) + z[5];
}

// turns six products into STEP outputs
template <int STEP>
inline void from_points(const vec m[6], vec y[STEP]) {
  const vec a = all(kA), b = all(kB);
  const vec ea = m[1] + m[2], oa = m[1] - m[2];
  const vec eb = m[3] + m[4], ob = m[3] - m[4];
  y[0] = m[0] + ea + eb;
  y[1] = fma(a, oa, b * ob);
  if (STEP == 2) y[1] = y[1] + m[5];
  if (STEP > 2) y[STEP > 2 ? 2 : 0] = fma(all(.5f), ea, all(2) * eb);
  if (STEP == 3) y[STEP > 2 ? 2 : 0] = y[STEP > 2 ? 2 : 0] + m[5];
  if (STEP > 3) {
    y[STEP > 3 ? 3 : 0] = fma(all(.5f * kA), oa, all(2 * kB) * ob) + m[5];
  }
}

template <int STEP>
void winograd_input_step(const float* const rows[6], int tiles, float* v,
                         size_t stride) {
  float t[6][STEP * (kPanel + W) + W];
  const int columns = STEP * (tiles - 1) + 6;
  for (int x = 0; x < columns; x += W) {
    const int left = columns - x;  // rows may end in this vector
    vec z[6], p[6];
    for (int i = 0; i < 6; ++i) {
      z[i] = left >= W ? load(rows[i] + x) : load_some(rows[i] + x, left);
    }
    to_points(z, p);
    for (int i = 0; i < 6; ++i) store(t[i] + x, p[i]);
  }
  for (int i = 0; i < 6; ++i) {
    float* const to = v + size_t(6 * i) * stride;
    for (int n = 0; n < tiles; n += W) {
      vec z[6], p[6];
      for (int j = 0; j < 6; ++j) z[j] = load_every<STEP>(t[i] + STEP * n + j);
      to_points(z, p);
      if (tiles - n >= W) {
        for (int j = 0; j < 6; ++j) store(to + j * stride + n, p[j]);
      } else {
        for (int j = 0; j < 6; ++j) {
          store_some(to + j * stride + n, p[j], tiles - n);
        }
      }
    }
  }
}

void winograd_input(const float* const rows[6], int tiles, int step, float* v,
                    size_t stride) {
  if (step == 4) {
    winograd_input_step<4>(rows, tiles, v, stride);
  } else if (step == 3) {
    winograd_input_step<3>(rows, tiles, v, stride);
  } else {
    winograd_input_step<2>(rows, tiles, v, stride);
  }
}

template <int STEP>
void winograd_output_step(const float* y, size_t stride, int width,
                          float* rows) {
  for (int n = 0; n < width; n += W) {
    vec s[STEP][6];  // columns transformed
    for (int j = 0; j < 6; ++j) {
      vec m[6], c[STEP];
      for (int i = 0; i < 6; ++i) m[i] = load(y + (6 * i + j) * stride + n);
      from_points<STEP>(m, c);
      for (int i = 0; i < STEP; ++i) s[i][j] = c[i];
    }
    for (int i = 0; i < STEP; ++i) {
      vec c[STEP];
      float q[STEP][W];
      from_points<STEP>(s[i], c);
      for (int j = 0; j < STEP; ++j) store(q[j], c[j]);
      float* const to = rows + i * 4 * kPanel + STEP * n;
      for (int x = 0; x < W; ++x) {
        for (int j = 0; j < STEP; ++j) to[STEP * x + j] = q[j][x];
      }
    }
  }
}

void winograd_output(const float* y, size_t stride, int width, int step,
                     float* rows) {
  if (step == 4) {
    winograd_output_step<4>(y, stride, width, rows);
  } else if (step == 3) {
    winograd_output_step<3>(y, stride, width, rows);
  } else {
    winograd_output_step<2>(y, stride, width, rows);
  }
}
