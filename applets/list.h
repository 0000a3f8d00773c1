APPLET(upload)
APPLET(ls)
APPLET(get)
APPLET(sync)
