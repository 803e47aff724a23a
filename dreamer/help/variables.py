"""The environment variables that dreamify.py and Caffe read, for the man page. docs/environment.md has the same, and
those of the other scripts."""

VARIABLES = {
    "DREAMER_WEIGHTS_NAME": "weights file of the model NAME (its name in capitals, with _ for everything except "
                            "letters and digits), for example DREAMER_WEIGHTS_DAYDREAM",
    "BVLC_GOOGLENET": "weights file of bvlc_googlenet: the same as DREAMER_WEIGHTS_BVLC_GOOGLENET",
    "TMPDIR": "folder for temporary data if a picture is too large for memory",
    "GLOG_minloglevel": "0 shows Caffe's log",
    "NATIVE_ISA": "avx2 or baseline restricts the kernels to an older instruction set",
    "OMP_NUM_THREADS": "threads for Caffe used on its own (dreamify.py has --threads)",
    "OPENBLAS_NUM_THREADS": "threads of OpenBLAS (default: 1; then those layers that only Caffe's own code does have "
                            "as many as Caffe). Each more takes 136 MB of address space, which counts under ulimit -v",
    "CAFFE_KEEP_BLOBS": "1 keeps all blobs readable, which takes more memory",
    "CAFFE_WEIGHT_GRADIENTS": "1 computes the gradients of the weights too, in a net in the TEST phase with "
                              "force_backward: true",
    "DREAMER_PLACE": "where this runs, so that advice names the right commands: container, shell (in the container), "
                     "machine (Vagrant's); the image and the Vagrantfile set it",
    "DREAMER_FARM": "the address of a farm's scheduler: --farm for all dreams",
    "DREAMER_FARM_KEYS": "the folder with the farm's keys (default: ~/.config/image-dreamer/farm)",
    "DREAMER_FARM_FOLDER": "the folder that all machines of a farm share, as this machine sees it: pictures in it "
                           "do not travel",
    "XDG_CONFIG_HOME": "folder in which it looks for image-dreamer/farm (default: ~/.config)",
    "DISPLAY, WAYLAND_DISPLAY": "there is a desktop: the studio opens its page in the browser",
    "XDG_CACHE_HOME": "folder in which it keeps image-dreamer/ (default: ~/.cache)",
    "XDG_RUNTIME_DIR": "folder in which simultaneous dreams see how much memory the others have reserved",
}
