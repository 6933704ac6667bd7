"""What forecasters and approvers do: acts, previews, policy, progress."""
