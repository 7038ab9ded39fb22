"""Other programs' own calls, answered by this one."""
