"""The station's own computer: drivers, spool, publisher and the wire format."""
