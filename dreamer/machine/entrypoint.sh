#!/bin/sh
# What a container starts with: a dream, or the shell or Python that was asked for. It runs as the owner of the folder
# it works in, so that nothing there ends up belonging to root. All is exec'ed: `docker stop` reaches the dream itself.

# The post's command: the image's own script, unless a clone with one is mounted here.
case $1,$2 in
python,dreamify.py | python3,dreamify.py | python,./dreamify.py | python3,./dreamify.py)
    [ -e "$2" ] || shift 2
    ;;
esac
case $1 in
bash | sh | python | python3)
    export DREAMER_PLACE=shell
    if [ "$1" = bash ] && [ -t 0 ]; then echo 'Type: dreamify photo.jpg dream.png'; fi
    ;;
dreamify) ;;
*) set -- dreamify "$@" ;;
esac

uid=$(stat -c %u .) gid=$(stat -c %g .)
if [ "$(id -u)" = 0 ] && [ "$uid" != 0 ]; then
    become="setpriv --reuid $uid --regid $gid --clear-groups"
    if $become true 2>/dev/null; then
        # a name for the shell's prompt, where it can be written
        getent passwd "$uid" >/dev/null || echo "dreamer:x:$uid:$gid::/tmp:/bin/bash" 2>/dev/null >>/etc/passwd
        export HOME=/tmp
        exec $become "$@"
    elif [ ! -w . ]; then # --cap-drop ALL: root, but not allowed to be anybody else, nor to write where others own
        echo "image-dreamer: $PWD belongs to user $uid, whom this container may not become: add --user $uid:$gid" >&2
    fi
fi
exec "$@"
