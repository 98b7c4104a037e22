"""The server in a thread, and a page without a browser."""

import asyncio
import queue
import threading
from contextlib import contextmanager

from bokeh.document import Document
from bokeh.events import ButtonClick

from mpijax.view.page.document import Opened, Page
from mpijax.view.server import ViewServer


@contextmanager
def served(files, empty=None, port=None):
    """A running server of some files."""
    started: queue.Queue = queue.Queue()

    def work():
        asyncio.set_event_loop(asyncio.new_event_loop())
        try:
            server = ViewServer(Opened.create(list(files), empty).build, port)
        except Exception as error:
            started.put(error)
            return
        started.put(server)
        server.run()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    server = started.get(timeout=60)
    if isinstance(server, Exception):
        raise server
    try:
        yield server
    finally:
        server.stop()
        thread.join(timeout=30)
        assert not thread.is_alive()


class Widgets:
    """What a document holds: widgets by their titles and kinds."""

    def __init__(self, document):
        self.document = document

    def models(self, kind):
        return [m for m in self.document.models if type(m).__name__ == kind]

    def titled(self, title):
        return next(m for m in self.document.models if getattr(m, "title", None) == title and hasattr(m, "value"))

    def labeled(self, label):
        return next(m for m in self.document.models if getattr(m, "label", None) == label)

    def enter(self, title):
        (tabs,) = self.models("Tabs")
        tabs.active = [panel.title for panel in tabs.tabs].index(title)

    @property
    def texts(self):
        return " | ".join(div.text for div in self.models("Div"))


class OwnPage(Widgets):
    """A page that no server serves; its widgets call back at once."""

    def __init__(self, files, empty=None):
        super().__init__(Document())
        self.page = Page(Opened.create(list(files), empty), self.document)

    def enter(self, title):
        super().enter(title)
        self.catch_up()

    def press(self, label):
        """Press a button."""
        self.labeled(label)._trigger_event(ButtonClick(self.labeled(label)))
        self.catch_up()

    def choose(self, title, value):
        """Set a widget, and wait for what follows."""
        self.titled(title).value = value
        self.catch_up()

    def catch_up(self):
        """Run what waits for the next moments of the server."""
        while waiting := list(self.document.session_callbacks):
            for callback in waiting:
                self.document.callbacks.remove_session_callback(callback)
                callback.callback()
