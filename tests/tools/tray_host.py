#!/usr/bin/python3
"""What a desktop's panel is to a tray icon: freedesktop's StatusNotifierWatcher, and a reader of menus
(com.canonical.dbusmenu). One JSON object a line, both ways.

Says   {"item": BUS_NAME} when an icon registers, {"gone": BUS_NAME} when it leaves.
Takes  {"look": null}      answers {"icon": FILE, "menu": [{"id", "label", "enabled"}, ...]}
       {"click": "LABEL"}  the first entry whose label begins so; answers {"clicked": LABEL or null}
"""
import json
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

DBusGMainLoop(set_as_default=True)
BUS = dbus.SessionBus()
WATCHER = "org.kde.StatusNotifierWatcher"
ITEM = "org.kde.StatusNotifierItem"
MENU = "com.canonical.dbusmenu"


def say(**what):
    print(json.dumps(what), flush=True)


class Watcher(dbus.service.Object):
    def __init__(self):
        self.items = []
        super().__init__(dbus.service.BusName(WATCHER, BUS), "/StatusNotifierWatcher")

    @dbus.service.method(WATCHER, in_signature="s", sender_keyword="sender")
    def RegisterStatusNotifierItem(self, service, sender=None):
        # The one library gives an object's path, others a bus name.
        item = (str(sender), str(service)) if service.startswith("/") else (str(service), "/StatusNotifierItem")
        self.items.append(item)
        BUS.watch_name_owner(item[0], lambda owner: owner or self.leave(item))
        self.StatusNotifierItemRegistered("".join(item))
        say(item=item[0])

    def leave(self, item):
        if item in self.items:
            self.items.remove(item)
            say(gone=item[0])

    @dbus.service.method(WATCHER, in_signature="s")
    def RegisterStatusNotifierHost(self, _service):
        pass

    @dbus.service.signal(WATCHER, signature="s")
    def StatusNotifierItemRegistered(self, _item):
        pass

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="ss", out_signature="v")
    def Get(self, interface, name):
        return self.GetAll(interface)[name]

    @dbus.service.method(dbus.PROPERTIES_IFACE, in_signature="s", out_signature="a{sv}")
    def GetAll(self, _interface):
        names = ["".join(item) for item in self.items]
        return {
            "RegisteredStatusNotifierItems": dbus.Array(names, signature="s"),
            "IsStatusNotifierHostRegistered": dbus.Boolean(True),
            "ProtocolVersion": dbus.Int32(0),
        }

    def read(self):
        """The properties of the latest icon, the object of its menu, and the menu's entries."""
        name, path = self.items[-1]
        item = dbus.Interface(BUS.get_object(name, path), dbus.PROPERTIES_IFACE)
        properties = item.GetAll(ITEM)
        menu = dbus.Interface(BUS.get_object(name, str(properties["Menu"])), MENU)
        _, layout = menu.GetLayout(0, -1, dbus.Array([], signature="s"))
        return properties, menu, [entry(child) for child in layout[2]]

    def look(self):
        properties, _, entries = self.read()
        say(icon=str(properties["IconName"]), menu=entries)

    def click(self, label):
        _, menu, entries = self.read()
        found = next((one for one in entries if one["label"].startswith(label)), None)
        if found:
            menu.Event(found["id"], "clicked", dbus.String("", variant_level=1), dbus.UInt32(0))
        say(clicked=found and found["label"])


def entry(node):
    properties = node[1]
    # A doubled underscore is one; a single one marks the key.
    label = str(properties.get("label", "")).replace("__", "\0").replace("_", "").replace("\0", "_")
    return {"id": int(node[0]), "label": label, "enabled": bool(properties.get("enabled", True))}


def asked(_source, _condition, watcher):
    line = sys.stdin.readline()
    if not line:
        MAIN.quit()
        return False
    request = json.loads(line)
    try:
        if "look" in request:
            watcher.look()
        else:
            watcher.click(request["click"])
    except (IndexError, dbus.DBusException) as error:
        say(error=str(error))
    return True


MAIN = GLib.MainLoop()
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, asked, Watcher())
say(ready=True)
MAIN.run()
