#!/usr/bin/env python3
"""Forward and data gradient to inception_4c/output: stock Caffe, ours, PyTorch.

All in one run, taking turns, one process each, checked to compute the same
thing. Prints milliseconds (the median), how many times faster ours is, memory
and the share of the machine's own rate in a large matrix product; more than
100 % is possible, for Winograd's convolution multiplies less than the direct
one that is counted.

  speed.py --ours TREE --weights FILE [--stock TREE] [--torch PYTHON]

TREE is a Caffe source tree with its python/caffe built; stock is the pristine
tree with patches 01-03, with the gradient of every weight as the original has
it. PYTHON is one that has torch and numpy. Environment variables that pin a
library's kernels are removed.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
END = "inception_4c/output"
PINNED = ("OPENBLAS_CORETYPE", "NVPL_BLAS_DEBUG_CPU_TYPE", "MKL_DEBUG_CPU_TYPE",
          "NATIVE_ISA", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS",
          "GLIBC_TUNABLES")
# keeps freed memory mapped: PyTorch's pages are faulted in once
TUNED = {"GLIBC_TUNABLES": "glibc.malloc.mmap_threshold=4294967295:"
         "glibc.malloc.trim_threshold=4294967295:glibc.malloc.hugetlb=1"}


# --- the workers: each answers {"size": [h, w]} and {"step": n} on its stdin

def picture(h, w):
    """A smooth colourful test picture, (1, 3, h, w) float32, mean subtracted."""
    import numpy as np
    rng = np.random.RandomState(0)
    y, x = np.mgrid[:h, :w].astype(np.float32)
    planes = []
    for _ in range(3):
        p = rng.rand(h, w).astype(np.float32) * 40
        for _ in range(12):
            a, b, c = rng.rand(3)
            p += 25 * np.sin(a * x / 9 + b * y / 9 + 6 * c)
        planes.append(p)
    return np.stack(planes)[None]


def caffe_net(tree, weights, weight_gradients):
    os.environ.setdefault("GLOG_minloglevel", "2")
    sys.path.insert(0, os.path.join(tree, "python"))
    import caffe
    from google.protobuf import text_format
    param = caffe.proto.caffe_pb2.NetParameter()
    with open(os.path.join(
            tree, "models/bvlc_googlenet/deploy.prototxt")) as f:
        text_format.Merge(f.read(), param)
    param.force_backward = True
    for layer in param.layer:
        if layer.type in ("Convolution", "InnerProduct"):
            del layer.param[:]
            for _ in range(2):
                layer.param.add().lr_mult = 1 if weight_gradients else 0
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt") as f:
        f.write(str(param))
        f.flush()
        return caffe.Net(f.name, weights, caffe.TEST)


def caffe_worker(args):
    net = caffe_net(args.tree, args.weights, args.weight_gradients)

    def size(h, w):
        net.blobs["data"].reshape(1, 3, h, w)
        net.blobs["data"].data[...] = picture(h, w)

    def step():
        net.forward(end=END)
        end = net.blobs[END]
        end.diff[...] = end.data
        net.backward(start=END)

    def result():
        end = net.blobs[END].data
        return net.blobs["data"].diff[0], float((end ** 2).sum(dtype=float)) / 2

    def flop(h, w):
        # a product and a sum, forward and back, for every weight and pixel
        total = 0
        for name, layer in zip(net._layer_names, net.layers):
            if layer.type == "Convolution" and name in net.blobs:
                out = net.blobs[name].shape
                total += 4 * layer.blobs[0].count * out[2] * out[3]
            if name == END:
                return total
    return size, step, result, flop


def torch_worker(args):
    import numpy as np
    import torch
    sys.path.insert(0, HERE)
    import peer
    torch.set_num_threads(args.threads)
    weights = {}
    with np.load(args.arrays) as arrays:
        for key in arrays.files:
            name, which = key.rsplit(":", 1)
            weights.setdefault(name, [None, None])[int(which)] = arrays[key]
    tuned = args.kind != "eager"
    lrn = {"eager": peer.plain_lrn, "tuned": peer.LRN.apply,
           "compiled": peer.closed_lrn}[args.kind]
    net = peer.Net(weights, lrn)
    layout = torch.channels_last if tuned else torch.contiguous_format
    net = net.to(memory_format=layout)
    run = torch.compile(net) if args.kind == "compiled" else net
    state = {}

    def size(h, w):
        state["x"] = torch.from_numpy(picture(h, w)).to(memory_format=layout)

    def step():
        x = state["x"].detach().requires_grad_(True)
        y = run(x)
        y.backward(y.detach())
        state["y"], state["g"] = y.detach(), x.grad

    def result():
        return (state["g"][0].contiguous().numpy(),
                float((state["y"].double() ** 2).sum()) / 2)
    return size, step, result, None


def sgemm_rate(kind):
    """GFLOP/s of a large matrix product with the library of this process."""
    import time
    n, best = 2048, 1e9
    if kind == "caffe":
        import numpy as np
        a = np.ones((n, n), np.float32)
        product = lambda: a.dot(a)
    else:
        import torch
        a = torch.ones(n, n)
        product = lambda: a @ a
    for _ in range(4):
        start = time.perf_counter()
        product()
        best = min(best, time.perf_counter() - start)
    return 2 * n ** 3 / best / 1e9


def worker(args):
    import resource
    import time
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    make = caffe_worker if args.kind in ("stock", "ours") else torch_worker
    size, step, result, flop = make(args)
    for line in sys.stdin:
        task = json.loads(line)
        answer = {}
        if "size" in task:
            size(*task["size"])
            step()
            step()
            if flop:
                answer["flop"] = flop(*task["size"])
        if "step" in task:
            times = []
            for _ in range(task["step"]):
                start = time.perf_counter()
                step()
                times.append(time.perf_counter() - start)
            answer["ms"] = [t * 1e3 for t in times]
        if "sgemm" in task:
            answer["sgemm"] = sgemm_rate(
                "caffe" if args.kind in ("stock", "ours") else "torch")
        if "save" in task:
            import numpy as np
            gradient, objective = result()
            np.save(task["save"], gradient)
            answer["objective"] = objective
            answer["mb"] = resource.getrusage(
                resource.RUSAGE_SELF).ru_maxrss / 1024
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


# --- the run

class Engine:
    def __init__(self, args, kind, python, scratch, tree=None):
        env = {k: v for k, v in os.environ.items() if k not in PINNED}
        env["OMP_NUM_THREADS"] = env["OPENBLAS_NUM_THREADS"] = str(args.threads)
        if kind in ("tuned", "compiled"):
            env.update(TUNED)
        env["PYTHONWARNINGS"] = "ignore"
        command = [python, os.path.abspath(__file__), "--worker", kind,
                   "--weights", args.weights, "--threads", str(args.threads),
                   "--arrays", os.path.join(scratch, "weights.npz")]
        if tree:
            command += ["--tree", os.path.abspath(tree)]
        if kind == "stock":
            command += ["--weight-gradients"]
        self.kind = kind
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
            env=env)

    def ask(self, **task):
        self.process.stdin.write(json.dumps(task) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            sys.exit("speed.py: the process for %s died" % self.kind)
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


NAMES = {"stock": "Caffe, original's set-up", "ours": "ours",
         "eager": "PyTorch", "tuned": "PyTorch, tuned",
         "compiled": "PyTorch, tuned, compiled"}


def measure(args, h, w, scratch):
    import numpy as np
    engines = []
    if args.stock:
        engines.append(Engine(args, "stock", args.python, scratch, args.stock))
    engines.append(Engine(args, "ours", args.python, scratch, args.ours))
    if args.torch:
        for kind in ("eager", "tuned", "compiled"):
            if kind not in args.skip.split(","):
                engines.append(Engine(args, kind, args.torch, scratch))
    flop = None
    for e in engines:
        flop = e.ask(size=[h, w]).get("flop", flop)
    times = {e.kind: [] for e in engines}
    rate = 0
    for _ in range(args.rounds):
        for e in engines:
            rate = max(rate, e.ask(sgemm=1)["sgemm"])
            times[e.kind] += e.ask(step=2)["ms"]
    rows, want = {}, None
    for e in engines:
        path = os.path.join(scratch, e.kind + ".npy")
        answer = e.ask(save=path)
        gradient, objective = np.load(path), answer["objective"]
        if want is None:
            want = gradient, objective
        off = float(np.linalg.norm(gradient - want[0]) /
                    np.linalg.norm(want[0]))
        if off > 1e-2 or abs(objective / want[1] - 1) > 1e-4:
            sys.exit("speed.py: %s computes something else: gradient off by "
                     "%.2g, objective %.8g, not %.8g"
                     % (NAMES[e.kind], off, objective, want[1]))
        rows[e.kind] = (statistics.median(times[e.kind]), answer["mb"], off)
        e.close()
    ours = rows["ours"][0]
    print("\n%d x %d, %d thread%s; large SGEMM %.0f GFLOP/s" % (
        h, w, args.threads, "s" * (args.threads > 1), rate))
    print("%-28s %9s %7s %8s %10s %7s %9s" % (
        "", "ms", "ours is", "s/Mpx", "peak MB", "kB/px", "of SGEMM"))
    for kind, (ms, mb, off) in rows.items():
        print("%-28s %9.1f %6.2fx %8.3f %10.0f %7.2f %8.0f%%   gradient off by "
              "%.0e" % (NAMES[kind], ms, ms / ours, ms / h / w * 1e3, mb,
                        mb * 1024 / h / w, 100 * flop / ms / 1e6 / rate, off))
    sys.stdout.flush()


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--ours", help="patched Caffe tree, built")
    parser.add_argument("--stock", help="Caffe tree to compare with")
    parser.add_argument("--torch", help="a python that has torch")
    parser.add_argument("--python", default="/usr/bin/python3",
                        help="the python that Caffe was built for")
    parser.add_argument("--weights", required=True)
    parser.add_argument("--sizes", nargs="+",
                        default=["224x224", "576x1024", "1080x1920"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--skip", default="", help="e.g. eager,compiled")
    for hidden in ("--worker", "--tree", "--arrays"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    parser.add_argument("--weight-gradients", action="store_true",
                        help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        args.kind = args.worker
        return worker(args)
    if not args.ours:
        parser.error("--ours is needed")
    args.weights = os.path.abspath(args.weights)
    with tempfile.TemporaryDirectory() as scratch:
        # the weights for PyTorch
        code = ("import sys; sys.path.insert(0, %r); import speed, numpy; "
                "net = speed.caffe_net(%r, %r, False); "
                "numpy.savez(%r, **{'%%s:%%d' %% (k, i): b.data for k, v in "
                "net.params.items() for i, b in enumerate(v)})" % (
                    HERE, os.path.abspath(args.ours), args.weights,
                    os.path.join(scratch, "weights.npz")))
        subprocess.run([args.python, "-c", code], check=True)
        for size in args.sizes:
            h, w = map(int, size.split("x"))
            measure(args, h, w, scratch)


if __name__ == "__main__":
    main()
