// The few vector operations that the kernels need, for the instructions that
// the including file is compiled for (isa_*.cpp set NATIVE_ISA first).
//
// Every step rounds the same way in every width: fma rounds once, and nothing
// else is contracted (-ffp-contract=off). So a sum gives the same bits with
// AVX2 and AVX-512. SSE2 has no fma, so its results differ.
//
// stream(p, v) stores to an aligned address without reading the rest of the line
// before, and without keeping it in the caches. Other threads see it after the end
// of the loop in parallel(), whose atomic operations are fences.
#if NATIVE_ISA == 512

typedef __m512 vec;
const int W = 16;  // floats in a vector
const int kRows = 8, kVecs = 3;  // a tile of the product: 24 of 32 registers
inline vec load(const float* p) { return _mm512_loadu_ps(p); }
inline vec load_some(const float* p, int n) {
  return _mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1), p);
}
inline void store(float* p, vec v) { _mm512_storeu_ps(p, v); }
inline void stream(float* p, vec v) { _mm512_stream_ps(p, v); }
inline void store_some(float* p, vec v, int n) {
  _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), v);
}
inline vec all(float x) { return _mm512_set1_ps(x); }
inline vec fma(vec a, vec b, vec c) { return _mm512_fmadd_ps(a, b, c); }
// bits - (the bits of a) / 4, as the bits of a float
inline vec less_quarter(int bits, vec a) {
  return _mm512_castsi512_ps(
      _mm512_sub_epi32(_mm512_set1_epi32(bits),
                       _mm512_maskz_srli_epi32(0xffff, _mm512_castps_si512(a), 2)));
}
inline vec positive(vec a) {
  return _mm512_maskz_max_ps(0xffff, a, _mm512_setzero_ps());
}
// a where g > 0, else 0
inline vec gated(vec g, vec a) {
  return _mm512_maskz_mov_ps(
      _mm512_cmp_ps_mask(g, _mm512_setzero_ps(), _CMP_GT_OQ), a);
}
// x where a > b, else y
inline vec more(vec a, vec b, vec x, vec y) {
  return _mm512_mask_mov_ps(y, _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ), x);
}
// x where a = b, else 0
inline vec equal(vec a, vec b, vec x) {
  return _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ), x);
}
// a[0], a[2], ..., b[0], b[2], ...
inline vec even(vec a, vec b) {
  const __m512i at = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20,
                                       22, 24, 26, 28, 30);
  return _mm512_permutex2var_ps(a, at, b);
}
// a[0], b[0], a[1], b[1], ... to p[0 .. 2 W)
inline void store_pairs(float* p, vec a, vec b) {
  const __m512i low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21,
                                        6, 22, 7, 23);
  const __m512i high = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28,
                                         13, 29, 14, 30, 15, 31);
  store(p, _mm512_permutex2var_ps(a, low, b));
  store(p + W, _mm512_permutex2var_ps(a, high, b));
}
// p[0], p[3], ...
inline vec load_third(const float* p) {
  const __m512i low = _mm512_setr_epi32(0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30,
                                        0, 0, 0, 0, 0);
  const __m512i high = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 17,
                                         20, 23, 26, 29);
  const vec v = _mm512_permutex2var_ps(load(p), low, load(p + W));
  return _mm512_permutex2var_ps(v, high, load(p + 2 * W));
}

#elif NATIVE_ISA == 2

typedef __m256 vec;
const int W = 8;
const int kRows = 4, kVecs = 3;  // 12 of 16 registers
inline vec load(const float* p) { return _mm256_loadu_ps(p); }
inline void store(float* p, vec v) { _mm256_storeu_ps(p, v); }
inline void stream(float* p, vec v) { _mm256_stream_ps(p, v); }
inline __m256i first(int n) {
  static const int ones[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(ones + 8 - n));
}
inline vec load_some(const float* p, int n) {
  return _mm256_maskload_ps(p, first(n));
}
inline void store_some(float* p, vec v, int n) {
  _mm256_maskstore_ps(p, first(n), v);
}
inline vec all(float x) { return _mm256_set1_ps(x); }
inline vec fma(vec a, vec b, vec c) { return _mm256_fmadd_ps(a, b, c); }
inline vec less_quarter(int bits, vec a) {
  return _mm256_castsi256_ps(_mm256_sub_epi32(
      _mm256_set1_epi32(bits), _mm256_srli_epi32(_mm256_castps_si256(a), 2)));
}
inline vec positive(vec a) { return _mm256_max_ps(a, _mm256_setzero_ps()); }
inline vec gated(vec g, vec a) {
  return _mm256_and_ps(_mm256_cmp_ps(g, _mm256_setzero_ps(), _CMP_GT_OQ), a);
}
inline vec more(vec a, vec b, vec x, vec y) {
  return _mm256_blendv_ps(y, x, _mm256_cmp_ps(a, b, _CMP_GT_OQ));
}
inline vec equal(vec a, vec b, vec x) {
  return _mm256_and_ps(_mm256_cmp_ps(a, b, _CMP_EQ_OQ), x);
}
inline vec even(vec a, vec b) {
  const __m256 t = _mm256_shuffle_ps(a, b, 0x88);
  return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(t), 0xd8));
}
inline void store_pairs(float* p, vec a, vec b) {
  const vec low = _mm256_unpacklo_ps(a, b), high = _mm256_unpackhi_ps(a, b);
  store(p, _mm256_permute2f128_ps(low, high, 0x20));
  store(p + W, _mm256_permute2f128_ps(low, high, 0x31));
}
inline vec load_third(const float* p) {
  return _mm256_setr_ps(p[0], p[3], p[6], p[9], p[12], p[15], p[18], p[21]);
}

#else  // instructions that every machine has: SSE2, NEON

typedef float vec __attribute__((vector_size(16)));
const int W = 4;
#ifdef __aarch64__
const int kRows = 4, kVecs = 4;  // 16 of 32 registers
#else
const int kRows = 4, kVecs = 2;  // 8 of 16
#endif
inline vec load(const float* p) {
  vec v;
  __builtin_memcpy(&v, p, sizeof(v));
  return v;
}
inline vec load_some(const float* p, int n) {
  vec v = {0, 0, 0, 0};
  for (int i = 0; i < n; ++i) v[i] = p[i];
  return v;
}
inline void store(float* p, vec v) { __builtin_memcpy(p, &v, sizeof(v)); }
#ifdef __aarch64__
inline void stream(float* p, vec v) { store(p, v); }
#else
inline void stream(float* p, vec v) { _mm_stream_ps(p, v); }
#endif
inline void store_some(float* p, vec v, int n) {
  for (int i = 0; i < n; ++i) p[i] = v[i];
}
inline vec all(float x) { return vec{x, x, x, x}; }
inline vec fma(vec a, vec b, vec c) {
#ifdef __aarch64__
  return vfmaq_f32(c, a, b);
#else
  return a * b + c;
#endif
}
typedef int ivec __attribute__((vector_size(16)));
inline vec less_quarter(int bits, vec a) {
  return reinterpret_cast<vec>(bits - (reinterpret_cast<ivec>(a) >> 2));
}
inline vec masked(ivec mask, vec a) {
  return reinterpret_cast<vec>(reinterpret_cast<ivec>(a) & mask);
}
inline vec gated(vec g, vec a) { return masked(g > all(0), a); }
inline vec positive(vec a) { return gated(a, a); }
inline vec more(vec a, vec b, vec x, vec y) {
  const ivec mask = a > b;
  return reinterpret_cast<vec>((reinterpret_cast<ivec>(x) & mask) |
                               (reinterpret_cast<ivec>(y) & ~mask));
}
inline vec equal(vec a, vec b, vec x) { return masked(a == b, x); }
inline vec even(vec a, vec b) { return vec{a[0], a[2], b[0], b[2]}; }
inline void store_pairs(float* p, vec a, vec b) {
  store(p, vec{a[0], b[0], a[1], b[1]});
  store(p + W, vec{a[2], b[2], a[3], b[3]});
}
inline vec load_third(const float* p) { return vec{p[0], p[3], p[6], p[9]}; }

#endif

// p[0], p[STEP], ...; reads STEP * W floats. It uses shuffles, because a wide
// load waits until the narrow stores before it have left the core.
template <int STEP>
inline vec load_every(const float* p) {
  if (STEP == 1) return load(p);
  if (STEP == 3) return load_third(p);
  const vec low = even(load(p), load(p + W));
  if (STEP == 2) return low;
  return even(low, even(load(p + 2 * W), load(p + 3 * W)));
}

inline bool aligned(const float* p) {
  return reinterpret_cast<size_t>(p) % (W * sizeof(float)) == 0;
}
