"""What the studio says about errors that nobody has foreseen."""

import asyncio
import logging

import pytest

from dreamer.studio import quiet


def test_an_error_is_one_line_without_the_message_that_has_the_address(capsys: pytest.CaptureFixture[str]) -> None:
    loop = asyncio.new_event_loop()
    quiet.quieten(loop)
    try:
        raise ZeroDivisionError("two\nlines")
    except ZeroDivisionError:
        logging.getLogger("tornado.application").error("GET /?token=secret", exc_info=True)
    logging.getLogger("tornado.access").warning("403 GET /?token=secret")
    logging.getLogger("tornado.general").error("Bad request /?token=secret")
    loop.call_exception_handler({"message": "secret", "exception": ValueError("x")})
    loop.call_exception_handler({"message": "secret", "exception": ConnectionResetError()})
    loop.call_exception_handler({"message": "secret"})
    loop.close()
    out, err = capsys.readouterr()
    assert out == ""
    assert err == ("dreamify: warning: studio: ZeroDivisionError: two\\nlines\n"
                   "dreamify: warning: studio: ValueError: x\n")
