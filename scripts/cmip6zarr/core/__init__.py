"""What everything stands on: errors, files that are written whole, chunk geometry in integers, buffers, progress."""
