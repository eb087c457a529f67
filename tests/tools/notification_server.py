#!/usr/bin/python3
"""A desktop's notification server (org.freedesktop.Notifications 1.2). One JSON object a line, both ways.

Says   {"id", "summary", "body", "actions"} for each notification.
Takes  {"click": ID}  as a click on the notification (its `default` action).
"""
import json
import sys

import dbus
import dbus.service
from dbus.mainloop.glib import DBusGMainLoop
from gi.repository import GLib

DBusGMainLoop(set_as_default=True)
NAME = "org.freedesktop.Notifications"


def say(**what):
    print(json.dumps(what), flush=True)


class Server(dbus.service.Object):
    def __init__(self):
        self.last = 0
        bus = dbus.SessionBus()
        super().__init__(dbus.service.BusName(NAME, bus), "/org/freedesktop/Notifications")

    @dbus.service.method(NAME, in_signature="susssasa{sv}i", out_signature="u")
    def Notify(self, _app, replaces, _icon, summary, body, actions, _hints, _timeout):
        if not replaces:
            self.last += 1
        number = int(replaces) or self.last
        say(id=number, summary=str(summary), body=str(body), actions=[str(one) for one in actions])
        return dbus.UInt32(number)

    @dbus.service.method(NAME, out_signature="as")
    def GetCapabilities(self):
        return ["actions", "body", "body-markup"]

    @dbus.service.method(NAME, out_signature="ssss")
    def GetServerInformation(self):
        return ("test", "musher", "1", "1.2")

    @dbus.service.method(NAME, in_signature="u")
    def CloseNotification(self, number):
        self.NotificationClosed(number, 3)

    @dbus.service.signal(NAME, signature="us")
    def ActionInvoked(self, number, action):
        pass

    @dbus.service.signal(NAME, signature="uu")
    def NotificationClosed(self, number, reason):
        pass


def asked(_source, _condition, server):
    line = sys.stdin.readline()
    if not line:
        MAIN.quit()
        return False
    number = json.loads(line)["click"]
    server.ActionInvoked(number, "default")
    server.NotificationClosed(number, 2)
    return True


MAIN = GLib.MainLoop()
GLib.io_add_watch(sys.stdin, GLib.IO_IN | GLib.IO_HUP, asked, Server())
say(ready=True)
MAIN.run()
