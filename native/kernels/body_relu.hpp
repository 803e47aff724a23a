// Rectified linear units without branches, and the sum of two arrays.

void relu_forward(const float* x, size_t n, float* y) {
  size_t i = 0;
  for (; i + W <= n; i += W) store(y + i, positive(load(x + i)));
  for (; i < n; ++i) y[i] = x[i] > 0 ? x[i] : 0;
}

void relu_backward(const float* x, const float* dy, size_t n, float* dx) {
  size_t i = 0;
  for (; i + W <= n; i += W) store(dx + i, gated(load(x + i), load(dy + i)));
  for (; i < n; ++i) dx[i] = x[i] > 0 ? dy[i] : 0;
}

void add(const float* a, const float* b, size_t n, float* sum) {
  for (size_t i = 0; i < n; ++i) sum[i] = a[i] + b[i];
}
