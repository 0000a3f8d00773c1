#!/usr/bin/env python3
"""Start a program with no arguments at all, not even its name. usage: tests/bare.py PROGRAM"""
import ctypes
import sys

nothing = (ctypes.c_char_p * 1)(None)
ctypes.CDLL(None).execve(sys.argv[1].encode(), nothing, nothing)
sys.exit("bare.py: not started")
