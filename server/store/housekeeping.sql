-- name: prune_quarantine
DELETE FROM quarantine WHERE received < %s
