#include "caffe/native/economy.hpp"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "caffe/layers/conv_layer.hpp"
#include "caffe/layers/lrn_layer.hpp"
#include "caffe/layers/pooling_layer.hpp"
#include "caffe/native/elementwise.hpp"
#include "caffe/net.hpp"

namespace caffe {
namespace native {
namespace {

typedef ConvolutionLayer<float> Conv;
typedef PoolingLayer<float> Pool;

Conv* conv(Net<float>* net, int i) {
  return dynamic_cast<Conv*>(net->layers()[i].get());
}
Pool* pool(Net<float>* net, int i) {
  Pool* const p = dynamic_cast<Pool*>(net->layers()[i].get());
  return p && p->native() && net->top_vecs()[i].size() == 1 ? p : NULL;
}
LRNLayer<float>* lrn(Net<float>* net, int i) {
  LRNLayer<float>* const l =
      dynamic_cast<LRNLayer<float>*>(net->layers()[i].get());
  return l && l->native() ? l : NULL;
}
bool is(Net<float>* net, int i, const char* type) {
  return !std::strcmp(net->layers()[i]->type(), type);
}
bool has(const std::vector<int>& ids, int id) {
  return std::find(ids.begin(), ids.end(), id) != ids.end();
}

}  // namespace

struct Economy::Piece {
  Piece(Economy* e, size_t n) : owner(e), bytes(n) {
    owner->live_ += bytes;
    owner->most_ = std::max(owner->most_, owner->live_);
  }
  ~Piece() { owner->live_ -= bytes; }
  Economy* const owner;
  const size_t bytes;
};

bool Economy::wanted(const Net<float>& net, bool force_backward) {
  if (!force_backward || std::getenv("CAFFE_KEEP_BLOBS") ||
      Caffe::mode() != Caffe::CPU) {
    return false;
  }
  for (size_t i = 0; i < net.layers().size(); ++i) {
    for (size_t p = 0; p < net.layers()[i]->blobs().size(); ++p) {
      if (net.layers()[i]->param_propagate_down(p)) return false;
    }
  }
  return true;
}

Economy::Economy(Net<float>* net)
    : net_(net), end_(-1), ready_(false), dry_(false), live_(0), most_(0) {
  const std::vector<int>& inputs = net->input_blob_indices();
  inputs_.insert(inputs.begin(), inputs.end());
  for (size_t i = 0; i < net->layers().size(); ++i) {
    if (net->bottom_ids(i).empty()) {
      inputs_.insert(net->top_ids(i).begin(), net->top_ids(i).end());
    }
  }
}

bool Economy::fused_relu(int i) const {
  if (i == 0 || !is(net_, i, "ReLU") || !is(net_, i - 1, "Convolution") ||
      net_->layers()[i]->layer_param().relu_param().negative_slope() != 0 ||
      net_->top_ids(i - 1).size() != 1 ||
      net_->top_ids(i) != net_->top_ids(i - 1) ||
      net_->bottom_ids(i) != net_->top_ids(i - 1)) {
    return false;
  }
  return conv(net_, i - 1)->fusible();
}

// Layers that are known to write every diff and to read only the data that
// plan() expects.
bool Economy::ours(int i) const {
  return is(net_, i, "Convolution") || is(net_, i, "Concat") ||
      is(net_, i, "Split") || is(net_, i, "ReLU") || pool(net_, i) ||
      lrn(net_, i);
}

int Economy::gater_of(int relu) const {
  const int id = net_->top_ids(relu)[0], reader = last_reader_[id];
  return reader > relu && (pool(net_, reader) || lrn(net_, reader)) &&
      !kept_[id] && split_of_[id] < 0 ? reader : -1;
}

bool Economy::adds(int i) const {
  Conv* const c = conv(net_, i);
  return (c && c->fusible()) || pool(net_, i);
}

// Whether the bottoms can lie in the top, one after the other: there must be
// one picture, and no bottom may share its memory with another blob.
bool Economy::concat_in_place(int i) const {
  if (!is(net_, i, "Concat")) return false;
  const std::vector<Blob<float>*>& bottoms = net_->bottom_vecs()[i];
  const int axis = bottoms[0]->CanonicalAxisIndex(
      net_->layers()[i]->layer_param().concat_param().axis());
  if (bottoms.size() < 2 || bottoms[0]->count(0, axis) != 1 ||
      net_->layers()[i]->layer_param().concat_param().has_concat_dim()) {
    return false;
  }
  std::set<int> seen;
  for (size_t b = 0; b < bottoms.size(); ++b) {
    const int id = net_->bottom_ids(i)[b];
    if (inputs_.count(id) || split_of_[id] >= 0 || !seen.insert(id).second) {
      return false;
    }
    for (int j = 0; j < i; ++j) {  // made by a convolution or pooling
      if (has(net_->top_ids(j), id) && !has(net_->bottom_ids(j), id) &&
          !conv(net_, j) && !pool(net_, j)) {
        return false;
      }
    }
  }
  return true;
}

bool Economy::may_be_sibling(int i) const {
  Geometry g;
  return conv(net_, i) && conv(net_, i)->native_shape(&g) && g.pointwise() &&
      net_->layers()[i]->layer_param().convolution_param().group() == 1 &&
      net_->bottom_vecs()[i].size() == 1 &&
      net_->bottom_vecs()[i][0]->shape(0) == 1;
}

void Economy::plan(int end) {
  const int blobs = static_cast<int>(net_->blobs().size());
  end_ = end;
  needed_.assign(net_->layers().size(), false);
  last_reader_.assign(blobs, -1);
  kept_.assign(blobs, false);
  backward_reads_.assign(blobs, false);
  concat_of_.assign(blobs, -1);
  split_of_.assign(blobs, -1);
  family_of_.assign(net_->layers().size(), -1);
  std::vector<bool> wanted(blobs, false);
  for (int id : net_->top_ids(end)) wanted[id] = kept_[id] = true;
  for (int id : inputs_) kept_[id] = true;
  for (int i = end; i >= 0; --i) {
    for (int id : net_->top_ids(i)) needed_[i] = needed_[i] || wanted[id];
    if (!needed_[i]) continue;
    for (int id : net_->bottom_ids(i)) {
      wanted[id] = true;
      last_reader_[id] = std::max(last_reader_[id], i);
    }
  }
  // shapes first: a branch's offset depends on the branches beside it
  for (int i = 0; i <= end; ++i) {
    if (!needed_[i]) continue;
    net_->layers()[i]->Reshape(net_->bottom_vecs()[i], net_->top_vecs()[i]);
    if (is(net_, i, "Split")) {
      for (int id : net_->top_ids(i)) split_of_[id] = i;
    }
  }
  std::map<int, std::vector<int> > families;  // by the layer that splits
  for (int i = 0; i <= end; ++i) {
    if (!needed_[i] || !may_be_sibling(i)) continue;
    const int split = split_of_[net_->bottom_ids(i)[0]];
    if (split < 0) continue;
    std::vector<int>& family = families[split];
    if (family.size() == kMostSiblings) family.clear();
    family.push_back(i);
    if (family.size() < 2) continue;
    family_of_[family[0]] = family_of_[i] = family[0];
  }
  for (int i = 0; i <= end; ++i) {
    if (!needed_[i]) continue;
    const std::vector<int>& bottoms = net_->bottom_ids(i);
    const std::vector<int>& tops = net_->top_ids(i);
    if (concat_in_place(i)) {
      for (int id : bottoms) concat_of_[id] = i;
    }
    if (ours(i) && !is(net_, i, "ReLU") && !lrn(net_, i)) continue;
    for (int id : bottoms) backward_reads_[id] = true;
    if (lrn(net_, i)) continue;
    if (is(net_, i, "ReLU")) {
      if (fused_relu(i) && gater_of(i) >= 0 && pool(net_, gater_of(i))) {
        backward_reads_[bottoms[0]] = false;
        backward_reads_[net_->top_ids(gater_of(i))[0]] = true;
      }
      continue;
    }
    for (int id : tops) backward_reads_[id] = true;
  }
}

void Economy::use(Kind kind, Blob<float>* blob) {
  if (!dry_) return;  // Caffe's blobs allocate memory when they are written
  boost::shared_ptr<Piece>& p = pieces_[Key(blob, kind)];
  if (!p) p.reset(new Piece(this, blob->count() * sizeof(float)));
}

void Economy::release(Kind kind, Blob<float>* blob) {
  if (dry_) {
    pieces_.erase(Key(blob, kind));
  } else if (kind == kData) {
    blob->ReleaseData();
  } else {
    blob->ReleaseDiff();
  }
}

void Economy::share(Kind kind, Blob<float>* to, Blob<float>* from) {
  if (dry_) {
    use(kind, from);
    pieces_[Key(to, kind)] = pieces_[Key(from, kind)];
  } else if (kind == kData) {
    to->ShareData(*from);
  } else {
    to->ShareDiff(*from);
  }
}

void Economy::view(Kind kind, Blob<float>* part, Blob<float>* whole,
                   int offset) {
  if (dry_) {
    share(kind, part, whole);
  } else if (kind == kData) {
    part->ViewData(*whole, offset);
  } else {
    part->ViewDiff(*whole, offset);
  }
}

void Economy::clear_diff(Blob<float>* blob) {
  use(kDiff, blob);
  if (dry_) return;
  std::memset(blob->mutable_cpu_diff(), 0, blob->count() * sizeof(float));
}

void Economy::place_tops(int i) {
  const std::vector<int>& tops = net_->top_ids(i);
  for (size_t t = 0; t < tops.size(); ++t) {
    const int at = concat_of_[tops[t]];
    if (at < 0 || has(net_->bottom_ids(i), tops[t])) continue;
    int offset = 0;
    for (size_t b = 0; net_->bottom_ids(at)[b] != tops[t]; ++b) {
      offset += net_->bottom_vecs()[at][b]->count();
    }
    view(kData, net_->top_vecs()[i][t], net_->top_vecs()[at][0], offset);
  }
}

void Economy::release_tops(int i, int start) {
  const std::vector<int>& tops = net_->top_ids(i);
  for (size_t t = 0; t < tops.size(); ++t) {
    Blob<float>* const top = net_->top_vecs()[i][t];
    if (has(net_->bottom_ids(i), tops[t])) continue;
    if (!has(net_->top_ids(start), tops[t]) && !inputs_.count(tops[t])) {
      release(kDiff, top);
    }
    if (!kept_[tops[t]]) release(kData, top);
  }
}

bool Economy::relu_after(int i, int end) const {
  return i < end && needed_[i + 1] && fused_relu(i + 1);
}

bool Economy::gated(int i, int start) const {
  return relu_after(i, start) &&
      (gater_of(i + 1) < 0 || gater_of(i + 1) > start);
}

Sibling Economy::sibling(int i) const {
  Layer<float>* const layer = net_->layers()[i].get();
  Sibling s = {&conv(net_, i)->native_convolution(), Geometry(),
               layer->blobs()[0]->cpu_data(), {NULL, NULL, false, false}, NULL,
               NULL};
  conv(net_, i)->native_shape(&s.g);
  return s;
}

void Economy::forward_family(int first, int end) {
  std::vector<Sibling> siblings;
  for (int i = first; i <= end; ++i) {
    if (family_of_[i] != first) continue;
    place_tops(i);
    Blob<float>* const top = net_->top_vecs()[i][0];
    use(kData, top);
    if (dry_) continue;
    siblings.push_back(sibling(i));
    Sibling& s = siblings.back();
    if (net_->layers()[i]->blobs().size() > 1) {
      s.task.bias = net_->layers()[i]->blobs()[1]->cpu_data();
    }
    s.task.relu = relu_after(i, end);
    s.out = top->mutable_cpu_data();
  }
  if (dry_) return;
  forward_siblings(siblings, net_->bottom_vecs()[first][0]->cpu_data());
}

// layers: those whose tops have gradients
void Economy::backward_family(const std::vector<int>& layers, int start,
                              std::vector<bool>* live) {
  std::vector<Sibling> siblings;
  const int split = split_of_[net_->bottom_ids(layers[0])[0]];
  const int whole = net_->bottom_ids(split)[0];
  Blob<float>* const sum = net_->blobs()[whole].get();
  use(kDiff, sum);
  for (int i : layers) {
    share(kDiff, net_->bottom_vecs()[i][0], sum);
    (*live)[net_->bottom_ids(i)[0]] = true;
    if (dry_) continue;
    siblings.push_back(sibling(i));
    Sibling& s = siblings.back();
    Blob<float>* const top = net_->top_vecs()[i][0];
    s.gradient = top->cpu_diff();
    if (gated(i, start)) s.task.gate = top->cpu_data();
  }
  if (!dry_) {
    backward_siblings(siblings, (*live)[whole], sum->mutable_cpu_diff());
  }
  (*live)[whole] = true;
  for (int i : layers) release_tops(i, start);
}

void Economy::forward_layer(int i) {
  const std::vector<Blob<float>*>& tops = net_->top_vecs()[i];
  if (!dry_) {
    net_->layers()[i]->Forward(net_->bottom_vecs()[i], tops);
    return;
  }
  for (Blob<float>* top : tops) {
    if (is(net_, i, "Split")) {
      share(kData, top, net_->bottom_vecs()[i][0]);
    } else {
      use(kData, top);
    }
  }
  Geometry g;
  if (conv(net_, i) && conv(net_, i)->native_shape(&g)) {
    const Piece work(this, sizeof(float) * Convolution::forward_floats(g));
  }
  if (pool(net_, i)) {  // one byte per value, needed until backward
    pieces_[Key(tops[0], kMaxima)].reset(
        new Piece(this, tops[0]->count()));
  }
}

void Economy::backward_layer(int i) {
  const std::vector<Blob<float>*>& bottoms = net_->bottom_vecs()[i];
  const std::vector<Blob<float>*>& tops = net_->top_vecs()[i];
  if (!dry_) {
    net_->layers()[i]->Backward(tops, net_->bottom_need_backward()[i],
                                bottoms);
    if (Pool* const p = pool(net_, i)) p->native_pool().forget();
    return;
  }
  for (size_t b = 0; b < bottoms.size(); ++b) {
    if (net_->bottom_need_backward()[i][b]) use(kDiff, bottoms[b]);
  }
  Geometry g;
  if (conv(net_, i) && conv(net_, i)->native_shape(&g)) {
    const Piece work(this, sizeof(float) * Convolution::backward_floats(g));
  }
  if (pool(net_, i)) pieces_.erase(Key(tops[0], kMaxima));
}

void Economy::run_forward(int end) {
  plan(end);
  for (size_t id = 0; id < net_->blobs().size(); ++id) {
    Blob<float>* const blob = net_->blobs()[id].get();
    if (!inputs_.count(id)) release(kData, blob);
    if (!kept_[id]) release(kDiff, blob);
  }
  for (int i = 0; i <= end; ++i) {
    if (!needed_[i]) continue;
    const std::vector<int>& bottoms = net_->bottom_ids(i);
    const std::vector<int>& tops = net_->top_ids(i);
    if (family_of_[i] == i) {
      forward_family(i, end);
    } else if (!fused_relu(i) && family_of_[i] < 0) {
      place_tops(i);
      Conv* const c = conv(net_, i);
      if (c) c->fusion().relu = relu_after(i, end);
      forward_layer(i);
      if (c) c->fusion().relu = false;
    }
    for (int id : bottoms) {
      if (last_reader_[id] == i && !kept_[id] && !backward_reads_[id]) {
        release(kData, net_->blobs()[id].get());
      }
    }
    for (int id : tops) {
      if (last_reader_[id] < 0 && !kept_[id] && !backward_reads_[id]) {
        release(kData, net_->blobs()[id].get());
      }
    }
  }
}

void Economy::run_backward(int start, int end) {
  std::vector<bool> live(net_->blobs().size(), false);  // the diff is valid
  for (int id : net_->top_ids(start)) {
    live[id] = true;
    use(kDiff, net_->blobs()[id].get());
  }
  std::map<int, std::vector<int> > waiting;  // for the first of their family
  for (int i = start; i >= end; --i) {
    const std::vector<int>& bottoms = net_->bottom_ids(i);
    const std::vector<int>& tops = net_->top_ids(i);
    bool any = false;
    for (int id : tops) any = any || live[id];
    const bool runs = needed_[i] && any && net_->layer_need_backward()[i];
    if (i <= end_ && family_of_[i] >= 0) {
      std::vector<int>& family = waiting[family_of_[i]];
      if (runs) family.insert(family.begin(), i);
      if (family_of_[i] == i && !family.empty()) {
        backward_family(family, start, &live);
      }
      continue;
    }
    if (!runs) continue;
    if (fused_relu(i)) continue;  // the convolution or the pooling does it
    const std::vector<bool>& down = net_->bottom_need_backward()[i];
    if (is(net_, i, "Split")) {
      Blob<float>* const sum = net_->bottom_vecs()[i][0];
      for (size_t t = 0; t < tops.size(); ++t) {
        Blob<float>* const part = net_->top_vecs()[i][t];
        if (!live[tops[t]] || adds(last_reader_[tops[t]])) continue;
        if (!live[bottoms[0]]) {
          share(kDiff, sum, part);
          live[bottoms[0]] = true;
        } else if (!dry_) {
          native::sum(sum->cpu_diff(), part->cpu_diff(), sum->count(),
                      sum->mutable_cpu_diff());
        }
      }
    } else if (concat_in_place(i)) {
      int offset = 0;
      for (size_t b = 0; b < bottoms.size(); ++b) {
        Blob<float>* const part = net_->bottom_vecs()[i][b];
        view(kDiff, part, net_->top_vecs()[i][0], offset);
        offset += part->count();
        live[bottoms[b]] = true;
      }
    } else {
      bool add = false;
      for (size_t b = 0; b < bottoms.size(); ++b) {
        const int id = bottoms[b];
        if (!down[b]) continue;
        live[id] = true;
        if (split_of_[id] < 0 || !adds(i)) continue;
        // write straight into the diff of the blob that was split
        const int whole = net_->bottom_ids(split_of_[id])[0];
        share(kDiff, net_->bottom_vecs()[i][b], net_->blobs()[whole].get());
        add = live[whole];
        live[whole] = true;
      }
      for (size_t t = 0; t < tops.size(); ++t) {
        if (!live[tops[t]]) clear_diff(net_->top_vecs()[i][t]);
      }
      // Crop, for example, does not write one bottom's diff and expects zeros
      for (size_t b = 0; b < bottoms.size() && !ours(i); ++b) {
        if (down[b] && !has(tops, bottoms[b])) {
          clear_diff(net_->bottom_vecs()[i][b]);
        }
      }
      Conv* const c = conv(net_, i);
      Pool* const p = pool(net_, i);
      if (c) {
        c->fusion().add = add;
        c->fusion().gate = gated(i, start);
      }
      LRNLayer<float>* const l = lrn(net_, i);
      bool gates = false;
      for (int j = 0; j < i && (p || l); ++j) {
        gates = gates || (needed_[j] && fused_relu(j) && gater_of(j) == i);
      }
      if (p) {
        p->fusion().add = add;
        p->fusion().gate = gates;
      }
      if (l) l->fusion().gate = gates;
      // both diffs can share memory, because each pixel depends only on itself
      if (l && !has(net_->top_ids(start), tops[0]) &&
          split_of_[bottoms[0]] < 0 && !inputs_.count(bottoms[0])) {
        share(kDiff, net_->bottom_vecs()[i][0], net_->top_vecs()[i][0]);
      }
      backward_layer(i);
      if (c) c->fusion() = Fusion();
      if (p) p->fusion() = Fusion();
      if (l) l->fusion() = Fusion();
    }
    release_tops(i, start);
  }
}

void Economy::forward(int end) {
  run_forward(end);
  ready_ = true;
}

void Economy::backward(int start, int end) {
  // an earlier backward may have released the data
  if (!ready_ || start > end_ || !needed_[start]) forward(start);
  run_backward(start, end);
  ready_ = false;
}

size_t Economy::most_bytes(int end) {
  dry_ = true;
  pieces_.clear();
  live_ = most_ = 0;
  plan(end);
  for (int id : inputs_) use(kData, net_->blobs()[id].get());
  run_forward(end);
  run_backward(end, 0);
  pieces_.clear();
  dry_ = false;
  ready_ = false;
  return most_;
}

}  // namespace native
}  // namespace caffe
