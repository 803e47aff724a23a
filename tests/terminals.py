"""Shells in terminals, for the tests of completion: what stands on the line after some keys."""

import os
import pty
import re
import select
import time
from pathlib import Path

_MARK = re.compile(rb"<<(.*?)>>", re.DOTALL)
_ALL = "\x18a"  # the keys that put everything that is offered on the line
_SHOW = "\x07"
BASH = r"""
set +o history; PS1='$ '; bind 'set enable-bracketed-paste off'; bind 'set bell-style none'
bind '"\C-xa": insert-completions'; shown() { printf '<%s>\n' "<$READLINE_LINE>"; }; bind -x '"\C-g": shown'
printf '<%s>\n' '<ready>'
"""
ZSH = r"""
PS1='$ '; unset zle_bracketed_paste; unsetopt beep; zstyle ':completion:*' list-prompt ''; LISTMAX=9999
zstyle ':completion:all-matches::::' completer _all_matches _complete
zstyle ':completion:all-matches:*' insert true; zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches
shown() { zle -I; print -r -- '<'"<$BUFFER>>" }; zle -N shown; bindkey '^G' shown
print -r -- '<''<ready>>'
"""


class Terminal:
    """A shell in a terminal of its own, in the folder, after the commands in `setup`."""

    def __init__(self, words: list[str], folder: Path, setup: str, **variables: str) -> None:
        pid, self._fd = pty.fork()
        if not pid:
            os.chdir(folder)
            os.execvpe(words[0], words, os.environ | {"TERM": "dumb", "LC_ALL": "C.UTF-8", "HISTFILE": "",
                                                      "INPUTRC": "/dev/null"} | variables)
        self._pid, self._seen = pid, b""
        file = folder.parent / "setup"
        file.write_text(setup)
        os.write(self._fd, f". {file}\n".encode())
        assert self._marked() == "ready"

    def _marked(self) -> str:
        """The text of the next mark."""
        end = time.monotonic() + 120
        while not (found := _MARK.search(self._seen)):
            ready, _, _ = select.select([self._fd], [], [], max(0, end - time.monotonic()))
            assert ready, self._seen
            self._seen += os.read(self._fd, 1 << 16)
        self._seen = self._seen[found.end():]
        return found[1].decode()

    def line(self, keys: str) -> str:
        """What stands on the line after these keys, which is then emptied."""
        os.write(self._fd, f"{keys}{_SHOW}".encode())
        told = self._marked()
        os.write(self._fd, b"\x01\x0b")  # to its begin, and delete all behind
        return told

    def offered(self, typed: str) -> list[str]:
        """All that is offered for the last word of what is typed."""
        return self.line(typed + _ALL).removeprefix(typed.rpartition(" ")[0]).split()

    def close(self) -> None:
        """End the shell."""
        os.close(self._fd)
        os.waitpid(self._pid, 0)
