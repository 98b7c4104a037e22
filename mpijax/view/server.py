"""The server of the page: this machine only, a secret in the address, no other origin, nothing fetched from elsewhere."""

import errno
import hmac
import logging
import secrets
import signal
import sys
import threading
from collections.abc import Callable
from typing import Any

from bokeh.application import Application
from bokeh.application.handlers.function import FunctionHandler
from bokeh.document import Document
from bokeh.server.server import BaseServer
from bokeh.server.tornado import BokehTornado
from bokeh.server.util import bind_sockets
from bokeh.settings import settings
from tornado.httpserver import HTTPServer
from tornado.httputil import HTTPServerRequest
from tornado.ioloop import IOLoop
from tornado.web import RequestHandler

HOST = "127.0.0.1"


class OneLine(logging.Handler):
    """What goes wrong in a connection, on standard error: one line without a traceback, for the viewer goes on."""

    def emit(self, record: logging.LogRecord) -> None:
        """Say it; of two records of one mishap only the first, which has the cause."""
        said = record.getMessage()
        if "server failed to" in said:
            return
        error = record.exc_info[1] if record.exc_info else None
        text = " ".join((said if error is None else f"{type(error).__name__}: {error}").split())
        print(f"warning: the viewer goes on after what it could not follow: {text[:200]}", file=sys.stderr, flush=True)


class Forbidden(RequestHandler):
    """The answer to whoever does not know the token, or comes from another page: 403, whatever was asked."""

    def prepare(self) -> None:
        """Answer before any method of HTTP is looked at."""
        self.set_status(403)
        self.finish("This is not the address that mpijax view printed, its token included.\n")


class PrivateTornado(BokehTornado):
    """Bokeh's application behind a path that nobody can guess; of its routes only the page and its web socket."""

    def __init__(self, application: Application, token: str, port: int):
        self.token, self.hosts = token, {f"{name}:{port}" for name in (HOST, "localhost")}
        super().__init__(
            {"/": application}, prefix=f"/{token}", extra_websocket_origins=sorted(self.hosts), include_headers=[]
        )

    def find_handler(self, request: HTTPServerRequest, **options: Any) -> Any:
        """The handler of a request that may come in, :class:`Forbidden` of any other."""
        if not self.allows(request):
            return self.get_handler_delegate(request, Forbidden)
        return super().find_handler(request, **options)

    def allows(self, request: HTTPServerRequest) -> bool:
        """Whether a request names this host, comes from no other origin, knows the token, and asks for the page or its socket.

        Bokeh's ``autoload.js`` would let pages of any origin in, and the page, whose scripts are in it, needs no other route.
        """
        origin = request.headers.get("Origin")
        given, _, route = str(request.path).removeprefix("/").partition("/")
        return (
            route in ("", "ws")
            and request.host in self.hosts
            and (origin is None or origin in {f"http://{host}" for host in self.hosts})
            and hmac.compare_digest(given.encode(), self.token.encode())
        )


class ViewServer:
    """A running server.

    Args:
        build: fills a new document, once for every time that the page is opened.
        port: to listen at; None = a free one.

    Attributes:
        address: of the page, token included.

    Raises:
        ValueError: the port is in use, or may not be listened at.
    """

    def __init__(self, build: Callable[[Document], None], port: int | None = None):
        settings.resources = "inline"
        for name in ("tornado", "bokeh"):  # a closed page and a browser that asks for an icon are no news
            log = logging.getLogger(name)
            log.setLevel(logging.ERROR)
            log.handlers, log.propagate = [OneLine()], False
        try:
            sockets, number = bind_sockets(HOST, port or 0)
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be listened at ({error.strerror})"
            raise ValueError(f"port {port} {why}; leave out --port for a free one, or give another.") from None
        token = secrets.token_urlsafe(24)
        self.loop = IOLoop.current()
        application = PrivateTornado(Application(FunctionHandler(build)), token, number)
        http = HTTPServer(application)
        http.add_sockets(sockets)
        self._server = BaseServer(self.loop, application, http)
        self._server.start()
        self.address = f"http://{HOST}:{number}/{token}/"

    def run(self) -> None:
        """Serve until Ctrl-C, or until :meth:`stop` is called on the loop.

        An interrupt stops the loop once its step is done: raised within one, it may be swallowed. A second one is raised.
        """
        before = signal.getsignal(signal.SIGINT)
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGINT, self._interrupted)
        try:
            self.loop.start()
        except KeyboardInterrupt:
            pass
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, before)
            self._server.stop()

    def _interrupted(self, *_: Any) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self.loop.add_callback_from_signal(self.loop.stop)

    def stop(self) -> None:
        """End :meth:`run`; to be called from any thread."""
        self.loop.add_callback(self.loop.stop)
