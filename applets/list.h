APPLET(upload)
APPLET(ls)
APPLET(get)
