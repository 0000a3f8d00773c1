APPLET(upload)
APPLET(ls)
