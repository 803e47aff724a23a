# image-dreamer in a container:
#
#   $ docker build -t image-dreamer .
#   $ docker run --rm -it -v "${PWD}:/vagrant" image-dreamer photo.jpg dream.png
#   $ docker run --rm -it -v "${PWD}:/vagrant" image-dreamer bash
#   $ docker run --rm -it -p 127.0.0.1:8420:8420 -v "${PWD}:/vagrant" image-dreamer studio
#
# --build-arg EXTRA=film adds ffmpeg and OpenCV (1.1 GB), for films in .mp4, videos and --flow; EXTRA=raw adds LibRaw
# (5 MB), which develops raw photos; EXTRA=farm adds what many machines need to dream together (30 MB); EXTRA="film farm"
# adds both. --build-arg AGAIN=2 (3, …) tries the model's downloads again if the weights are missing.

# Debian 13 of one day, for all architectures; --build-arg BASE=… uses another Debian or Ubuntu. (With Debian 12 the
# image has 850 MB instead of 375, because its python3-scipy depends on compilers.)
ARG BASE=debian:trixie-slim@sha256:a29215f6a35e51e22adffa17f89e9d2ef06214e64a2bad10d765c46aea49f11f

# ------------------------------------------------------------------ Python and its packages
FROM $BASE AS runtime
WORKDIR /opt/image-dreamer
COPY provision.sh ./
# Deletes what nobody uses here: the tests of numpy, scipy, tornado and Python (48 MB), what compilers need (4 MB),
# Python's manual for help() (1 MB), and the compiled forms of those parts of scipy that are not imported (10 MB; Python
# can do without).
RUN bash provision.sh runtime \
    && cd /usr/lib/python3/dist-packages \
    && find . -path '*/tests/*' '(' -name 'test_*' -o -name '*.np[yz]' -o -path '*/data/*' ')' -delete \
    && find . -type f '(' -name '*.pyi' -o -name '*.px[di]' -o -name '*.[acfh]' -o -name '*.f90' ')' -delete \
    && rm -rf numpy/f2py/tests numpy/*/_simd.*.so tornado/test \
    && rm -rf /usr/lib/python3.*/test /usr/lib/python3.*/pydoc_data \
    && find scipy -depth -name __pycache__ -exec rm -r {} + && python3 -c 'import scipy.ndimage' \
    && cd /opt/image-dreamer \
    && apt-get clean && rm -rf log /var/lib/apt/lists/* /var/cache/debconf/*-old

# ------------------------------------------------------------------ Caffe, with compilers if it must be built
FROM runtime AS caffe
COPY native/ native/
# A Caffe that provision.sh built on another Debian 13, if there is one; README.md, because COPY must find a file.
COPY native/README.md .cache*/caffe-debian-13-* .cache/
COPY dreamer/machine/finished.txt dreamer/machine/
ARG DREAMER_RELEASE
RUN DREAMER_CACHE=read bash provision.sh caffe && rm -rf .cache dreamer log native

# ------------------------------------------------------------------ the model and the program
FROM caffe AS program
# Uses the weights in models/bvlc_googlenet, if they are there; otherwise provision.sh downloads them.
COPY models/ models/
COPY dreamer/ dreamer/
ARG AGAIN=
RUN DREAMER_PLACE=container bash provision.sh model
COPY dreamify.py ./
# for who has no photo at hand in the studio
COPY tests/pictures/README.md tests/pictures/coffee.jpg tests/pictures/dandelions.jpg tests/pictures/raccoon.jpg tests/pictures/
# Any user must be able to read these files, whatever their modes in the checkout.
RUN python3 -m compileall -q dreamer && chmod -R a+rX,go-w dreamer dreamify.py models tests

# ------------------------------------------------------------------ everything, without compilers
FROM runtime AS dreamer
COPY --from=caffe /opt/image-dreamer ./
# again, because only a finished Caffe lists the libraries that it needs; one copy of Boost's licence will do (4 MB)
ARG EXTRA=
RUN bash provision.sh runtime $EXTRA \
    && cd /usr/share/doc && set -- libboost-*/copyright \
    && for copy in "$@"; do if [ "$copy" != "$1" ] && cmp -s "$1" "$copy"; then ln -f "$1" "$copy"; fi; done \
    && cd /opt/image-dreamer \
    && apt-get clean && rm -rf log /var/lib/apt/lists/* /var/cache/debconf/*-old
COPY --from=program /opt/image-dreamer/models models
COPY --from=program /opt/image-dreamer/dreamer dreamer
COPY --from=program /opt/image-dreamer/tests tests
COPY --from=program /opt/image-dreamer/dreamify.py ./
# Debian's bash loads completion only with the package bash-completion; ours needs nothing else.
RUN DREAMER_PLACE=container bash provision.sh shells check && rm -r log \
    && ln -s "$PWD/dreamify.py" /usr/local/bin/dreamify \
    && echo '. /usr/local/share/bash-completion/completions/dreamify' >>/etc/bash.bashrc
WORKDIR /vagrant

# ------------------------------------------------------------------ the image for `vagrant up --provider=docker`
FROM dreamer AS vagrant
# The key is Vagrant's well-known one; Vagrant replaces it on the first `up`.
RUN apt-get update \
    && apt-get install -y --no-install-recommends openssh-server sudo \
    && apt-get clean && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* \
    && useradd --create-home --shell /bin/bash vagrant \
    && echo 'vagrant ALL=(ALL) NOPASSWD: ALL' > /etc/sudoers.d/vagrant \
    && install -d -m 700 -o vagrant -g vagrant /home/vagrant/.ssh \
    && echo 'ssh-rsa AAAAB3NzaC1yc2EAAAABIwAAAQEA6NF8iallvQVp22WDkTkyrtvp9eWW6A8YVr+kz4TjGYe7gHzIw+niNltGEFHzD8+v1I2YJ6oXevct1YeS0o9HZyN1Q9qgCgzUFtdOKLv6IedplqoPkcmF0aYet2PkEDo3MlTBckFXPITAMzF8dJSIFo9D8HfdOV0IAdx4O7PtixWKn5y2hMNG0zQPyUecp4pzC6kivAIhyfHilFR61RGL+GPXQ2MWZWFYbAGjyiYJnAmCP3NOTd0jMZEnDkbUvxhMmBYSdETk1rRgm+R4LOzFUGaHqHDLKLX+FIPKcF96hrucXzcWyLbIbEgE98OHlnVYCzRdK8jlqm8tehUc9c9WhQ== vagrant insecure public key' \
        > /home/vagrant/.ssh/authorized_keys \
    && chown vagrant:vagrant /home/vagrant/.ssh/authorized_keys
# The user vagrant gets the ids of the folder's owner, so that both may write to it. Each container makes its host keys.
CMD usermod --non-unique --uid "$(stat -c %u /vagrant)" vagrant \
    && groupmod --non-unique --gid "$(stat -c %g /vagrant)" vagrant \
    && ssh-keygen -A \
    && install -d /run/sshd \
    && exec /usr/sbin/sshd -D -e

# ------------------------------------------------------------------ makes a box for Vagrant, on any system
FROM $BASE AS box
# apt's lists stay, because box.sh finds the mirror in them.
RUN apt-get update \
    && apt-get install -y --no-install-recommends e2fsprogs fdisk mmdebstrap mtools qemu-utils syslinux syslinux-common
ENTRYPOINT ["bash", "/vagrant/dreamer/machine/box.sh"]

# ------------------------------------------------------------------ the image
FROM dreamer
# Python handles SIGINT, so `docker stop` ends a dream like Ctrl-C.
STOPSIGNAL SIGINT
ENV DREAMER_PLACE=container
ENTRYPOINT ["sh", "/opt/image-dreamer/dreamer/machine/entrypoint.sh"]
