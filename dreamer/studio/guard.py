"""Who may ask the studio for what: the checks that every request passes first, and the headers of every answer.

Any web page that is open in a browser on this machine can send requests to a server on it. So nothing is trusted but
the cookie, and that only if the browser says that our own page asks. The checks are Jupyter's, and stricter."""

import dataclasses
import errno
import hashlib
import hmac
import ipaddress
import json
import re
import secrets
import time
from collections.abc import Callable
from typing import Any

from tornado.web import HTTPError, RequestHandler

from dreamer.errors import Failure, Mistake, printable
from dreamer.studio.quiet import named, report

_HOST = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9.-]+)(:[0-9]{1,5})?", re.I | re.A)
_TRIES, _LONGEST_WAIT = 10, 60.0  # wrong tokens before one must wait; seconds
HEADERS = {
    "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin", "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store", "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(self), microphone=(), geolocation=()", "Server": "studio",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_PAGE = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
         "connect-src 'self' ws://{host}; form-action 'none'; frame-ancestors 'none'; base-uri 'none'")
FOREVER = "private, max-age=31536000, immutable"  # for what has its version in its address
_LONGEST_NUMBER = 20  # digits


class Refused(Exception):
    """The answer to a request that is not allowed.

    status  HTTP's
    line    what is wrong
    wait    seconds after which to try again, or 0"""

    def __init__(self, status: int, line: str, wait: int = 0) -> None:
        super().__init__(line)
        self.status, self.line, self.wait = status, line, wait


@dataclasses.dataclass
class Gate:
    """Knows the token, which is in the address that the studio prints, and the cookie, which that address sets.

    bind   the address that the studio listens at, besides the loopback; None if there is no other
    clock  seconds"""

    bind: str | None = None
    clock: Callable[[], float] = time.monotonic

    def __post_init__(self) -> None:
        self.token, self._secret = secrets.token_urlsafe(24), secrets.token_urlsafe(24)
        # cookies do not know ports: two studios on one machine need different names
        self.cookie = "studio-" + hashlib.sha256(self.token.encode()).hexdigest()[:8]
        self._wrong, self._until = 0, 0.0
        self._names = {"127.0.0.1", "localhost", "[::1]"}
        self._any = False
        if self.bind:
            address = ipaddress.ip_address(self.bind)
            self._any = address.is_unspecified
            self._names.add(f"[{address}]" if address.version == 6 else str(address))

    @property
    def value(self) -> str:
        """What the cookie contains."""
        return self._secret

    def knows(self, host: str) -> bool:
        """Whether this is a Host of ours, with any port, because Docker and Vagrant map it. A web site can give its own
        name our address (DNS rebinding), but it cannot have our name; nor be an IP address, where all are allowed."""
        found = _HOST.fullmatch(host)
        if not found:
            return False
        name = found[1].lower()
        return name in self._names or (self._any and _is_address(name))

    def check_origin(self, request: Any) -> None:
        """Raise Refused unless the request is for us, and comes from our own page or from no page."""
        hosts, origins = request.headers.get_list("Host"), request.headers.get_list("Origin")
        if len(hosts) != 1 or not self.knows(hosts[0]):
            raise Refused(403, "this is not the address that the studio printed: open that one")
        if origins not in ([], [f"http://{hosts[0]}"]):  # "null" is no origin of ours either
            raise Refused(403, "another web page asked for this: open the address that the studio printed")
        if any(site not in ("same-origin", "none") for site in request.headers.get_list("Sec-Fetch-Site")):
            raise Refused(403, "a link on another page led here: type or paste the address that the studio printed")

    def check_cookie(self, given: str | None) -> None:
        """Raise Refused unless the cookie has the right value."""
        if given is None:
            raise Refused(401, "open the address that the studio printed, with its token")
        if not _same(given, self._secret):
            self._check(False)

    def check_token(self, given: str) -> None:
        """Raise Refused unless the token is right, and not too many wrong ones came just before."""
        self._check(_same(given, self.token))

    def _check(self, right: bool) -> None:
        now = self.clock()
        if now < self._until:
            raise Refused(429, "too many wrong tokens: wait a little", int(self._until - now) + 1)
        if right:
            self._wrong = 0
            return
        self._wrong += 1
        if self._wrong >= _TRIES:
            self._until = now + min(_LONGEST_WAIT, 2.0 ** (self._wrong - _TRIES))
        raise Refused(403, "this token is not valid: open the address that the studio printed last")


def _same(given: str, secret: str) -> bool:
    """Whether they are equal, in a time that does not tell how much of them is."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), secret.encode())


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


class Guarded(RequestHandler):
    """What all handlers are: nothing is answered before the checks are passed. Errors are JSON, one line each.

    studio  the Studio"""

    SUPPORTED_METHODS = ("GET", "HEAD", "POST", "PUT")

    def initialize(self, studio: Any) -> None:
        """Look at the request before Tornado does; `prepare` and `send_error` answer accordingly."""
        self.studio = studio
        self._refused: Refused | None = None
        try:
            self._inspect()
        except Refused as refused:
            self._refused = refused

    def _inspect(self) -> None:
        gate: Gate = self.studio.gate
        gate.check_origin(self.request)
        if not self.is_open():
            gate.check_cookie(self._cookie(gate.cookie))
        if self.request.method not in ("GET", "HEAD") and self.request.headers.get_list("X-Studio") != ["1"]:
            raise Refused(403, "only the studio's own page can change anything")

    def _cookie(self, name: str) -> str | None:
        """The value of a cookie. (Tornado's get_cookie drops all cookies if one is malformed, and other programs on
        this host may have set any.)"""
        found = [each.strip().partition("=") for each in ";".join(self.request.headers.get_list("Cookie")).split(";")]
        values = [value.strip() for key, _, value in found if key.strip() == name]
        return values[0] if values else None

    def is_open(self) -> bool:
        """Whether this request needs no cookie."""
        return False

    def set_default_headers(self) -> None:  # noqa: D102 - Tornado's
        for name, value in HEADERS.items():
            self.set_header(name, value)

    def prepare(self) -> Any:  # noqa: D102 - Tornado's
        if self._refused:
            raise self._refused

    def as_page(self) -> None:
        """Let the answer be a page of ours, with scripts and styles."""
        self.set_header("Content-Security-Policy", _PAGE.format(host=self.request.headers["Host"]))

    def may_be_kept(self) -> None:
        """Let browsers keep the answer if its version is in its address."""
        if self.get_query_argument("v", ""):
            self.set_header("Cache-Control", FOREVER)

    def answer(self, content: object, status: int = 200) -> None:
        """Send JSON."""
        self.set_status(status)
        self.set_header("Content-Type", "application/json; charset=utf-8")
        self.finish(json.dumps(content, allow_nan=False))

    def asked(self) -> dict[str, Any]:
        """The JSON object that was sent. Raises Mistake."""
        try:
            found = json.loads(self.request.body, parse_constant=_refuse, parse_int=_int)
        except (ValueError, RecursionError):
            found = None
        if not isinstance(found, dict):
            raise Mistake("the request must be a JSON object")
        return found

    def send_error(self, status_code: int = 500, **kwargs: Any) -> None:
        """Answer with the line of an error, whichever it is."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        if self._refused and not self._headers_written:
            error = self._refused
        status, lines = _told(error, status_code)
        if isinstance(error, Refused) and error.wait:
            kwargs["wait"] = error.wait
        super().send_error(status, lines=lines, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:  # noqa: D102 - Tornado's
        lines = kwargs.get("lines") or [self._reason]
        if "wait" in kwargs:
            self.set_header("Retry-After", str(kwargs["wait"]))
        if self.request.path == "/":
            self.set_header("Content-Type", "text/plain; charset=utf-8")
            self.finish(f"{status_code}: {lines[0]}\n")
        else:
            self.answer({"error": lines[0], "lines": lines}, status_code)

    def log_exception(self, kind: Any, error: Any, trace: Any) -> None:
        """Say in one line, on the terminal, what nobody has foreseen."""
        if not isinstance(error, HTTPError | Refused | Mistake | Failure | OSError):
            report(error, f"{printable(self.request.method)[:20]} {printable(self.request.path)[:200]}: ")


def _told(error: BaseException | None, status: int) -> tuple[int, list[str]]:
    """(HTTP's status, the lines) of the answer to an error, which had the status of `status` so far."""
    if isinstance(error, Refused):
        return error.status, [error.line]
    if isinstance(error, Mistake):
        return 400, list(error.args)
    if isinstance(error, Failure):
        return 503, list(error.args)
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return 507, ["the disk is full: make room on it"]
        return 500, [printable(error.strerror or named(error))]
    if isinstance(error, HTTPError) or error is None:
        return status, [_WORDS.get(status, f"HTTP error {status}")]
    return 500, [f"the studio has made an error: {named(error)}"]


_WORDS = {400: "the request cannot be understood", 404: "there is nothing at this address",
          405: "this address has no such method", 411: "the length of the file is missing"}


def _refuse(_: str) -> None:
    raise ValueError


def _int(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:  # some Pythons take minutes for a million digits
        raise ValueError
    return int(text)
