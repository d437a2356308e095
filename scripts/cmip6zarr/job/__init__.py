"""What the command lines of the rules share: options, exit codes, receipts, notes of what is at work, the queue."""
