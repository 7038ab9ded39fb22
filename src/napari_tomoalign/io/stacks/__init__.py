"""One module for each file format that stacks and volumes are written in."""
