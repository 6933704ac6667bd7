"""Sources of readings on the station, each an entry point of the group `fenghuo.drivers`."""
