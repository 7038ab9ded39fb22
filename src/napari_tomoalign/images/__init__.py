"""Stacks of images: move, bin, filter, register. Arrays in, arrays out; knows no angle."""
