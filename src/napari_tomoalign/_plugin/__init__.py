"""What npe2 finds and runs without a window: layer data in and out; no toolkit."""
