"""The GPU engine, on NVIDIA Warp."""
