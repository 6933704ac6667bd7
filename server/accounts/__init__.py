"""The people who warn: accounts, passwords, sessions, links that work once, and the audit."""
