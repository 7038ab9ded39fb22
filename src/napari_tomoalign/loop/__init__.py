"""What an iteration of the alignment is made of, and when it ends."""
