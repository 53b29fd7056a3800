"""What a request holds: looked at in C, taken apart only where the store could not take it as it is."""
