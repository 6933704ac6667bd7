"""From the ledger to the channels and back: sending, receipts, progress."""
