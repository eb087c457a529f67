#!/usr/bin/python3
"""A window that offers folders for dragging, as a file manager does (XDND, text/uri-list).

Usage: drag_source.py PATH...   Prints `ready X Y` (the middle of the window) and then what the drag does.
"""
import sys

import gi

gi.require_version("Gdk", "3.0")
gi.require_version("Gtk", "3.0")
from gi.repository import Gdk, GLib, Gtk  # noqa: E402

URIS = [GLib.filename_to_uri(path) for path in sys.argv[1:]]


def say(*words):
    print(*words, flush=True)


def shown(window, _event):
    # The place is known once the window manager has put it somewhere.
    def tell():
        _, x, y = window.get_window().get_origin()
        size = window.get_size()
        say("ready", x + size[0] // 2, y + size[1] // 2)

    GLib.timeout_add(200, tell)


box = Gtk.EventBox()
box.add(Gtk.Label(label="drag"))
box.drag_source_set(Gdk.ModifierType.BUTTON1_MASK, [], Gdk.DragAction.COPY)
box.drag_source_add_uri_targets()
box.connect("drag-data-get", lambda _box, _context, data, _info, _time: data.set_uris(URIS))
box.connect("drag-begin", lambda *_: say("begun"))
box.connect("drag-failed", lambda *_: say("failed"))
box.connect("drag-end", lambda *_: say("ended"))

window = Gtk.Window(title="drag source", default_width=120, default_height=60)
window.set_keep_above(True)
window.set_skip_taskbar_hint(True)
window.set_focus_on_map(False)
window.move(0, 0)
window.add(box)
window.connect("map-event", shown)
window.connect("destroy", Gtk.main_quit)
window.show_all()
Gtk.main()
